"""Networks that look at one corner, and photographs whose corners are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.suspect import Suspect
from camcli.models.classifier import Classifier
from camcli.models.cutting.types import LinearHead
from camcli.models.loading.zoo import Provenance
from camcli.models.outputs import Output

SIDE, CORNER = 32, 8
TOP_LEFT = (slice(0, CORNER), slice(0, CORNER))
BOTTOM_RIGHT = (slice(-CORNER, None), slice(-CORNER, None))
REGION = (0.0, 0.0, 0.25, 0.25)


def looks_at(where, output="softmax", slope=40.0):
    """Of dark and lit: lit where the mean of a part of the picture is above one half.

    A is the brightness at that part, in cells of 4x4 pixels, and 0 elsewhere.
    """

    def features(images):
        seen = torch.zeros_like(images[:, :1])
        seen[:, :, *where] = images.mean(1, keepdim=True)[:, :, *where]
        return torch.nn.functional.avg_pool2d(seen, 4)

    share = CORNER**2 / SIDE**2
    head = LinearHead(
        torch.tensor([[0.0], [slope / share]]) if output == "softmax"
        else torch.tensor([[-slope / share], [slope / share]]),
        torch.tensor([0.0, -slope / 2]) if output == "softmax"
        else torch.tensor([slope / 2, -slope / 2]),
    )  # fmt: skip
    return Classifier(
        features, head, head, ("dark", "lit"),
        Preprocess(size=SIDE, fit="squash", mean=(0, 0, 0), std=(1, 1, 1)),
        Provenance("by hand", None, None, "user", {}), "cells", torch.device("cpu"),
        output=Output(output),
    )  # fmt: skip


class Pictures:
    """As a `PixelCache`, of pictures in memory."""

    def __init__(self, pictures):
        self.pictures, self.asked = pictures, []

    def __call__(self, photo):
        self.asked.append(photo.rel)
        return self.pictures.get(photo.rel)


class Corner:
    """A bright corner: darkened, lit; the control is the same at the top right."""

    removed_by, added_by, control = "darkened", "lit", "the other corner"
    other = (slice(0, CORNER), slice(-CORNER, None))

    def painted(self, rgb, where, value):
        out = rgb.copy()
        out[where] = value
        return out

    def remove(self, photo, rgb, rng):
        return self.painted(rgb, TOP_LEFT, 20)

    def remove_control(self, photo, rgb, rng):
        return self.painted(rgb, self.other, 20)

    def add(self, photo, rgb, rng):
        return self.painted(rgb, TOP_LEFT, 240)

    def add_control(self, photo, rgb, rng):
        return self.painted(rgb, TOP_LEFT, 90)


@pytest.fixture
def lit():
    """Forty dark and forty lit pictures: lit ones are bright in two corners.

    Returns:
        The photographs, as a right network sees them, and their pixels.
    """
    rng = np.random.default_rng(0)
    photos, pictures = [], {}
    for n in range(80):
        label = ("dark", "lit")[n % 2]
        rgb = rng.integers(60, 120, (SIDE, SIDE, 3)).astype(np.uint8)
        if n % 2:
            rgb[TOP_LEFT] = rgb[BOTTOM_RIGHT] = 220
        photo = AuditedPhoto(
            ImageRef(Path(f"{n}.png"), f"{label}/{n}.png", label), label, label, 0.9, (SIDE, SIDE)
        )
        photos.append(photo)
        pictures[photo.rel] = rgb
    return photos, Pictures(pictures)


def suspect(photos, label="lit", kind="mark", change=None, **more):
    """The bright corner at the top left, of all photographs of its class."""
    regions = {p.rel: REGION for p in photos if p.pred == label}
    others = sum(p.pred != label for p in photos)
    values = {
        "kind": kind, "label": label, "what": "a bright corner, top left", "regions": regions,
        "looked": len(regions), "elsewhere": 0, "elsewhere_looked": others, "effect": 1.0,
        "p": 1e-9, "change": change or Corner(),
    } | more  # fmt: skip
    return Suspect(**values)
