import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.audit.audit import Suspicion, summarise
from camcli.evaluate.audit.audit_files import draw_clusters, draw_flagged
from camcli.evaluate.audit.map_clusters import (
    Cluster,
    Grouping,
    group,
    merged,
    most_clusters,
    stretched,
    texture_of,
)
from camcli.evaluate.audit.map_stats import THUMB, Fact
from camcli.evaluate.findings.finding import Finding


def thumb(*hot, value=1.0):
    heat = np.zeros((THUMB, THUMB), np.float32)
    for place in hot:
        heat[place] = value
    return heat


def fact(heat, *, prob=0.9, pred="a", rel="x", **more):
    return Fact(rel, pred, pred, prob, heat, not heat.any(), np.nan, 0.1, -1, **more)


def test_stretching_by_hand():
    heat = np.linspace(0.2, 0.4, 101).reshape(1, -1)
    found = stretched(heat)
    # The 2nd percentile is 0.204 and the 98th 0.396: (0.3 - 0.204) / 0.192 = 0.5.
    assert found[0, [0, 2, 50, 98, 100]] == pytest.approx([0, 0, 0.5, 1, 1])
    assert found[0, 26] == pytest.approx((0.252 - 0.204) / 0.192)
    assert not stretched(np.ones((3, 3))).any()


def test_merging_by_hand():
    """Two cells: the sure cluster looks at the first, half at the second; the other at both."""
    sure = Cluster(("a",), thumb((0, 0)) + thumb((0, 1), value=0.5), 0.9)
    other = Cluster(("b", "c", "d"), thumb((0, 0), (0, 1), (0, 2)), 0.4)
    found = merged([other, sure])
    # 0.9·1 + 0.4·1·(1 - 1); 0.9·0.5 + 0.4·1·(1 - 0.5); 0 + 0.4·1·1
    assert found[0, :4] == pytest.approx([0.9, 0.65, 0.4, 0])
    assert np.array_equal(found, merged([sure, other]))
    assert merged([other])[0, 0] == pytest.approx(0.4)


def test_texture_by_hand():
    """Left half one grey, right half stripes of 100 and 140: standard deviation 20 there."""
    rgb = np.full((224, 224, 3), 120, np.uint8)
    rgb[:, 112::2], rgb[:, 113::2] = 100, 140
    found = texture_of(rgb)
    assert found.shape == (THUMB, THUMB)
    # Cells have 14 pixels; the window of 17 reaches 8 pixels over the edge.
    assert not found[:, :7].any()
    assert (found[:, 8:] == 1).all()
    assert ((found[:, 7] > 0) & (found[:, 7] < 1)).all()
    # A standard deviation of 7 is still flat, one of 9 is not.
    for low, high, expected in ((113, 127, 0), (111, 129, 1)):
        rgb[:, ::2], rgb[:, 1::2] = low, high
        assert (texture_of(rgb) == expected).all()
    # A sky: grey levels that rise by 60 from top to bottom.
    sky = np.linspace(150, 210, 480)[:, None, None].repeat(640, 1).repeat(3, 2).astype(np.uint8)
    assert not texture_of(sky).any()


def test_few_photographs_make_few_clusters():
    assert [most_clusters(n) for n in (1, 2, 5, 6, 14, 30, 500)] == [1, 1, 1, 2, 4, 10, 10]
    maps = [thumb((n, n)) for n in range(7)]
    clusters = group([fact(heat, rel=str(n)) for n, heat in enumerate(maps)], Grouping()).clusters
    assert len(clusters["a"]) == 2


def test_clusters_of_the_stretched_and_of_the_masked_maps(tmp_path):
    rgb = np.full((224, 224, 3), 120, np.uint8)
    rgb[:, 112::2], rgb[:, 113::2] = 100, 140
    path = tmp_path / "half.png"
    Image.fromarray(rgb).save(path)
    both = thumb((3, 2), (3, 12))
    facts = [
        fact(both, rel="1", photo=path),
        fact(thumb((3, 2)), rel="2", photo=path),
        fact(thumb((3, 12)), rel="3", photo=path, prob=0.5),
        fact(thumb(), rel="empty", photo=path),
    ]
    plain = group(facts, Grouping(k=3))
    assert sorted(c.members for c in plain.clusters["a"]) == [("1",), ("2",), ("3",)]
    assert plain.textured == {}
    masked = group(facts, Grouping(k=2, texture=True))
    assert masked.textured == pytest.approx({("a", "1"): 0.5, ("a", "2"): 0, ("a", "3"): 1})
    first, second = masked.clusters["a"]
    assert first.members == ("1", "3")
    assert first.mean[3, 12] == 1
    assert first.mean.sum() == 1
    assert first.probability == pytest.approx(0.7)
    assert not second.mean.any()
    assert masked.number_of() == {("a", "1"): 0, ("a", "3"): 0, ("a", "2"): 1}
    # The most confident first, where they are merged.
    by_confidence = group(facts, Grouping(k=2, texture=True, merge=True))
    assert [c.members for c in by_confidence.clusters["a"]] == [("2",), ("1", "3")]
    # Maps of unlike contrast are one cluster once they are stretched.
    ramp = np.linspace(0, 1, THUMB * THUMB, dtype=np.float32).reshape(THUMB, THUMB)
    faint = [fact(v, rel=str(n)) for n, v in enumerate((ramp, 0.8 + 0.2 * ramp, 1 - ramp))]
    sizes = [len(c.members) for c in group(faint, Grouping(k=2, stretch=True)).clusters["a"]]
    assert sizes == [2, 1]
    assert np.allclose(stretched(faint[0].thumb), stretched(faint[1].thumb), atol=1e-5)


def test_a_photograph_that_is_gone_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--texture.*gone\.jpg"):
        group([fact(thumb((1, 1)), photo=tmp_path / "gone.jpg")], Grouping(texture=True))


def test_pictures_show_the_options_and_the_flagged(tmp_path):
    path = tmp_path / "p.png"
    Image.fromarray(np.full((60, 120, 3), 200, np.uint8)).save(path)
    facts = [
        fact(thumb((0, 0)), rel="1", photo=path),
        fact(thumb((15, 15)), rel="2", photo=tmp_path / "gone.png", prob=0.3),
    ]
    found = [Suspicion("a", "corner", 0.9, 0.1, 0.001, ("1", "2"))]
    rows = summarise(facts, [Finding("mark", "a", "used", "", "", "")])

    def picture(**how):
        grouping = Grouping(k=2, **how)
        return draw_clusters(group(facts, grouping), rows, grouping)

    plain, merge = picture(), picture(merge=True)
    assert merge.shape[1] > plain.shape[1]  # one column more
    assert not np.array_equal(plain[:30], picture(stretch=True)[:30])  # the title says so
    flagged = draw_flagged(facts, found)
    # One photograph is there: its top left corner is hot (red), the other is left out.
    assert (cv2.inRange(flagged, (180, 60, 0), (255, 160, 130)) > 0).any()
    assert draw_flagged(facts, []) is None
    assert draw_flagged([facts[1]], [Suspicion("a", "corner", 1, 0, 0, ("2",))]) is None
