"""Copies of one photograph are one: what they share is no mark, and no frame of a class."""

import cv2
import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.audit.investigate import investigate
from camcli.evaluate.audit.looked import Looked
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


def scene(seed):
    """Shapes over clouds, with a dark frame around every third."""
    rng = np.random.default_rng(seed)
    out = cv2.resize(rng.normal(120, 40, (12, 16, 3)), (240, 180), interpolation=cv2.INTER_CUBIC)
    for _ in range(30):
        corners = rng.integers(0, [240, 180]) + rng.normal(0, 25, (5, 2))
        cv2.fillPoly(out, [corners.astype(np.int32)], rng.integers(0, 255, 3).tolist())
    return np.clip(out + rng.normal(0, 3, out.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def looked(tmp_path):
    """Two classes of twelve; eight of the one are one photograph with a frame, saved again."""
    photos = []
    for label in "ab":
        for n in range(12):
            rgb = scene(100 * (label == "b") + n)
            if label == "a" and n < 8:
                rgb = scene(7)
                rgb[:14] = rgb[-14:] = rgb[:, :14] = rgb[:, -14:] = 10
                rgb = np.clip(rgb + 2.0 * n, 0, 255).astype(np.uint8)
            path = tmp_path / f"{label}{n:02}.png"
            cv2.imwrite(str(path), rgb)
            ref = ImageRef(path, path.name, label)
            photos.append(AuditedPhoto(ref, label, label, 0.9, (240, 180)))
    return Looked((), tuple(photos))


def test_copies_are_counted_once_and_named(looked):
    found = investigate(looked, (), "none", most=60, clock=Clock(), listener=Listener())
    assert found.findings == ()
    assert found.duplicates == (tuple(f"a{n:02}.png" for n in range(8)),)
    assert "7 photographs left out, such as a01.png" in " ".join(found.not_looked)
    # Five different photographs are left of this class, too few to find what repeats.
    assert "fewer than 8 photographs (a)" in " ".join(found.not_looked)


def test_photographs_that_are_gone_since_they_were_looked_at_are_named(looked):
    for photo in looked.photos[12:18]:
        photo.ref.path.unlink()
    found = investigate(looked, (), "none", most=60, clock=Clock(), listener=Listener())
    words = " ".join(found.not_looked)
    assert "6 photographs could not be read a second time" in words
    assert "b00.png" in words
    assert "in 6 photographs of 1 predicted class" in found.looked_for[0]
