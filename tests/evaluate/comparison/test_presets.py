"""What a named setting reaches on photographs with boxes that had no part in its choice."""

import pytest

from camcli.jobs.evaluate import EvaluateJob
from camcli.train.progress import Listener


@pytest.mark.slow
def test_boxes_as_written_are_better_than_a_centred_one(test_data):
    """At every IoU at which the centred box is not always right, with no box of these known."""
    dogs = test_data / "dog-boxes"
    job = EvaluateJob(
        dogs / "images", boxes=dogs / "boxes", preset="localize", labels="none", bootstrap=0
    )
    rows: dict[str, dict[str, float]] = {}
    for row in job.run(Listener()).rows:
        rows.setdefault(row.method, {}).update(row.metrics)
    ours, middle = rows["cam"], rows["centre-box"]
    assert ours["box_iou"] > middle["box_iou"] + 0.04
    assert ours["box_acc@30"] == middle["box_acc@30"] == 1
    for name in ("box_acc@50", "box_acc@70", "maxboxacc_v2@50", "maxboxacc_v2@70"):
        assert ours[name] > middle[name], name
