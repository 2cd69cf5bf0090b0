"""The evidence of a difference, on a place: by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from camcli.data.decode.preprocess import Preprocess
from camcli.evaluate.proof.asking import said
from camcli.evaluate.proof.heat import heat_share, share_on
from camcli.models.classifier import Classifier
from camcli.models.cutting.types import LinearHead
from camcli.models.loading.zoo import Provenance
from camcli.models.outputs import Output

from .conftest import BOTTOM_RIGHT, TOP_LEFT, looks_at

WHOLE, SIZE = (0.0, 0.0, 32.0, 32.0), (32, 32)


def picture(**bright):
    rgb = np.zeros((32, 32, 3), np.uint8)
    for channel, place in bright.items():
        rgb[(*place, "rgb".index(channel))] = 255
    return rgb


def by_channel(weight, tail=None):
    """A: the channels, of cells of 2x2 pixels; the weight is of three classes."""
    head = LinearHead(torch.tensor(weight), torch.zeros(3))
    return Classifier(
        lambda images: torch.nn.functional.avg_pool2d(images, 2), tail or head,
        None if tail else head, ("a", "b", "c"),
        Preprocess(size=32, fit="squash", mean=(0, 0, 0), std=(1, 1, 1)),
        Provenance("by hand", None, None, "user", {}), "cells", torch.device("cpu"),
    )  # fmt: skip


def test_a_share_by_hand():
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 0], heatmap[3, 3], heatmap[0, 3] = 3, 1, -5
    share, area = share_on(np.kron(heatmap, np.ones((8, 8))), WHOLE, SIZE, (0, 0, 0.25, 0.25))
    assert share == pytest.approx(0.75, abs=0.05)  # some of it is smoothed across the edge
    assert area == pytest.approx(1 / 16)
    assert share_on(-np.ones((4, 4)), WHOLE, SIZE, (0, 0, 0.25, 0.25)) is None
    # The network saw the right half alone.
    right = (16.0, 0.0, 32.0, 32.0)
    level = np.array([[1, 2, 2, 1]] * 4).T
    assert share_on(level, right, SIZE, (0, 0, 0.25, 0.25)) is None
    assert share_on(level, right, SIZE, (0.5, 0, 1, 0.5)) == pytest.approx((0.5, 0.5))


def test_the_evidence_is_of_the_difference_to_the_runner_up():
    """Red speaks for a and b alike, green for a alone: red decides nothing between them."""
    weight = [[9.0, 3.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    seen = [(picture(r=TOP_LEFT, g=BOTTOM_RIGHT), (0.0, 0.0, 0.25, 0.25))]
    network = by_channel(weight)
    found = heat_share(network, said(network, "a"), seen)
    assert (found.area, found.photographs) == (1 / 16, 1)
    assert found.share == pytest.approx(0, abs=1e-3)
    there = [(seen[0][0], (0.75, 0.75, 1.0, 1.0))]
    assert heat_share(network, said(network, "a"), there).share > 0.9
    # Of labels no other class is a rival: red is three quarters of what speaks for this one.
    labels = replace(network, output=Output("sigmoid"))
    assert heat_share(labels, said(labels, "a"), seen).share == pytest.approx(0.75, abs=0.06)
    assert heat_share(labels, said(labels, "not a"), seen) is None


def test_a_tail_that_is_no_linear_head():
    weight = torch.tensor([[9.0, 3.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    def tail(A):
        return torch.tanh(A.mean((2, 3)) @ weight.T / 4)

    network = by_channel(weight.tolist(), tail)
    rgb = picture(r=TOP_LEFT, g=BOTTOM_RIGHT)
    found = heat_share(network, said(network, "a"), [(rgb, (0.75, 0.75, 1.0, 1.0))])
    assert found.share > 0.9


def test_what_is_everywhere_has_no_share():
    network = looks_at(TOP_LEFT)
    rgb = picture(r=TOP_LEFT)
    for region in (None, (0.0, 0.0, 1.0, 1.0)):
        assert heat_share(network, said(network, "lit"), [(rgb, region)]) is None
