"""A localizer learns where boxes are, says how well, and draws the box that it was chosen for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camcli.errors import UsageError
from camcli.models.localizer import Localizer
from camcli.train.fitting.localizer import Boxed, box_iou, coverage, fit_localizer


def scenes(count: int, *, seed: int = 0, channels: int = 12, near: bool = False) -> list[Boxed]:
    """Maps in which one channel is high in the cells of a box, among channels of noise.

    With `near` it is high in the box's left column of cells only: what its right half shares with
    the background is told apart by the neighbour alone.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        x, y = rng.integers(0, 4, 2)
        w, h = (2, 4) if near else rng.integers(3, 5, 2)
        A = rng.normal(size=(1, channels, 8, 8)).astype(np.float32)
        A[0, 3] = rng.normal(0, 0.3, (8, 8))
        A[0, 3, y : y + h, x : x + (1 if near else w)] += 3
        box = tuple(float(10 * n) for n in (x, y, x + w, min(8, y + h)))
        found.append(Boxed(torch.from_numpy(A), (0, 0, 80, 80), (80, 80), (box,)))
    return found


def test_the_share_of_a_cell_in_a_box_is_its_area():
    inside = coverage([(5, 0, 20, 10)], (0.0, 0.0, 40.0, 20.0), (2, 4))
    np.testing.assert_allclose(inside, [[0.5, 1, 0, 0], [0, 0, 0, 0]])
    # Two boxes that overlap count once, and margins beyond the photograph belong to no box.
    both = coverage([(0, 0, 10, 10), (5, 0, 10, 10)], (-10.0, 0.0, 30.0, 20.0), (2, 4))
    np.testing.assert_allclose(both, [[0, 1, 0, 0], [0, 0, 0, 0]])
    one = Boxed(torch.zeros(2, 1, 2, 4), (-10.0, 0.0, 30.0, 20.0), (20, 20), ((0, 0, 10, 10),))
    np.testing.assert_allclose(one.seen()[0], [[0, 1, 1, 0], [0, 1, 1, 0]])
    np.testing.assert_allclose(one.inside()[1], both.flip(1))


def test_boxes_of_others_are_found():
    """Ten photographs teach which of twelve channels it is; forty others are then found."""
    found = fit_localizer(scenes(10), "last", learnt=["a"])
    others = scenes(40, seed=1)
    reached = [box_iou(found(one.A)[0].numpy(), one) for one in others]
    assert np.mean(reached) > 0.7
    nowhere = np.outer(*[1 - np.abs(np.linspace(-1, 1, 8))] * 2).astype(np.float32)
    assert np.mean([box_iou(nowhere, one) for one in others]) < 0.5, "the middle is not enough"
    low, high = found.facts["box_iou_interval"]
    assert low <= found.facts["box_iou"] <= high
    assert found.facts["box_iou"] == pytest.approx(np.mean(reached), abs=0.1), "an honest promise"
    assert found.facts["photographs"] == found.facts["boxes"] == 10
    assert found.learnt == ("a",)
    # No channel but one has to do with it.
    weight = found.weight[0].abs().amax((1, 2))
    assert int(weight.argmax()) == 3


def test_boxes_that_say_nothing_promise_nothing():
    """Of maps of noise the promise on photographs left out is that of a box drawn anywhere."""
    told = scenes(12)
    rng = np.random.default_rng(5)
    noise = [
        Boxed(torch.from_numpy(rng.normal(size=(1, 12, 8, 8)).astype(np.float32)), one.view,
              one.size, one.boxes)
        for one in told
    ]  # fmt: skip
    assert fit_localizer(noise, "last").facts["box_iou"] < 0.35
    assert fit_localizer(told, "last").facts["box_iou"] > 0.7


def test_neighbours_are_looked_at_where_they_help():
    near = fit_localizer(scenes(16, near=True), "last")
    assert near.facts["kernel"] == 3
    reached = [box_iou(near(one.A)[0].numpy(), one) for one in scenes(20, seed=3, near=True)]
    assert np.mean(reached) > 0.7, "no map of single cells knows of the right column"


def test_the_order_of_channels_and_their_scale_do_not_matter():
    told = scenes(6)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    scale = torch.logspace(-1, 1, 12)[:, None, None]
    changed = [Boxed(100 + scale * one.A[:, order], one.view, one.size, one.boxes) for one in told]
    plain, other = fit_localizer(told, "last"), fit_localizer(changed, "last")
    torch.testing.assert_close(
        plain.logits(told[0].A), other.logits(changed[0].A), atol=5e-3, rtol=5e-3
    )


def test_a_solution_is_the_optimum_of_what_it_says():
    """The gradient of loss + l2/2 |w|² by autograd, in the coordinates of the axes, is zero."""
    from camcli.train.fitting.localizer import _Axes, _Cells

    told = scenes(5)
    axes = _Axes.of(told)
    cells = _Cells.of(told, axes, 3)
    ((_, theta),) = cells.path([0.01], set())
    theta = theta.double().requires_grad_()
    X, y, w = (torch.cat(part).double() for part in (cells.given, cells.inside, cells.weight))
    z = X @ theta[:-1] + theta[-1]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y, w / w.sum(), reduction="sum")
    (g,) = torch.autograd.grad(loss + 0.005 * theta[:-1].square().sum(), theta)
    assert float(g.abs().max()) < 1e-5
    # And the convolution says the same as the cells that it was learnt from.
    weight, bias = axes.kernel(theta.detach().float(), 3)
    conv = Localizer(axes.mean, weight, bias, "last")
    torch.testing.assert_close(
        conv.logits(told[2].A), cells.logits(2, theta.detach().float()), atol=1e-4, rtol=1e-4
    )


def test_what_teaches_nothing_is_refused():
    one = scenes(1)
    with pytest.raises(UsageError, match="there is one"):
        fit_localizer(one, "last")
    whole = [Boxed(x.A, x.view, x.size, ((0.0, 0.0, 80.0, 80.0),)) for x in scenes(3)]
    with pytest.raises(UsageError, match="all inside of"):
        fit_localizer(whole, "last")
    beyond = [Boxed(x.A, x.view, x.size, ((90.0, 0.0, 99.0, 80.0),)) for x in scenes(3)]
    with pytest.raises(UsageError, match="all outside of"):
        fit_localizer(beyond, "last")


def test_flat_channels_are_no_trouble():
    flat = [Boxed(torch.cat([x.A, torch.ones(1, 2, 8, 8)], 1), x.view, x.size, x.boxes)
            for x in scenes(6)]  # fmt: skip
    found = fit_localizer(flat, "last")
    assert found.weight.isfinite().all()
    assert found.logits(flat[0].A).isfinite().all()
