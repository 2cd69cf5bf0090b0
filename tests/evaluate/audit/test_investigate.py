"""What an audit says that it looked for."""

import pytest

from camcli.evaluate.audit import investigate as module
from camcli.evaluate.audit.investigate import investigate
from camcli.evaluate.audit.looked import Looked
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


@pytest.fixture
def looked(tmp_path):
    import numpy as np
    from PIL import Image

    from camcli.data.sources.refs import ImageRef

    photos = []
    rng = np.random.default_rng(0)
    for n in range(16):
        path = tmp_path / f"{n}.png"
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(path)
        name = ("alpha", "beta")[n % 2]
        photos.append(AuditedPhoto(ImageRef(path, path.name, name), name, name, 0.9, (64, 64)))
    return Looked((), tuple(photos), {}, ())


def test_what_there_was_no_time_for_is_not_told_as_looked_for(looked):
    found = investigate(looked, (), "none", most=8, clock=Clock(), listener=Listener())
    said = "; ".join(found.looked_for)
    assert "frames" in said
    assert "marks that repeat" in said
    assert "object" not in said, "there are no masks"
    late = investigate(looked, (), "none", most=8, clock=Clock(1e-9), listener=Listener())
    said = "; ".join(late.looked_for)
    assert not any(word in said for word in ("frames", "marks", "repeat"))
    assert sum("for want of time" in each for each in late.not_looked) >= 3


def test_only_what_was_cut_short_is_left_out(looked, monkeypatch):
    def cut(groups, pixels, clock, listener):
        clock.skip("borders of some photographs, for want of time")
        return []

    monkeypatch.setattr(module, "DETECTORS", {**module.DETECTORS, "frames": cut})
    found = investigate(looked, (), "none", most=8, clock=Clock(), listener=Listener())
    said = "; ".join(found.looked_for)
    assert "frames" not in said
    assert "marks at fixed places" in said
