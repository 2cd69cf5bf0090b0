"""Where a token is, found out by changing small parts of a picture: the truth is laid out."""

import pytest
import torch

from camcli.models.cutting.token_positions import answering, disturbed, lies_so
from camcli.models.cutting.tokens import TensorLayout


def tokens_of(shape, grid, order=None, prefix=0):
    """What a network makes of the disturbed pictures: the means of a grid's cells, (n, N, 3)."""
    pictures = disturbed(shape)
    h, w = grid
    cells = torch.nn.functional.adaptive_avg_pool2d(pictures, grid).flatten(2).transpose(1, 2)
    if order == "columns":
        cells = cells.view(-1, h, w, 3).transpose(1, 2).reshape(-1, h * w, 3)
    if order == "mirrored":
        cells = cells.view(-1, h, w, 3).flip(2).reshape(-1, h * w, 3)
    first = cells.mean(1, keepdim=True).expand(-1, prefix, -1) * 0.01
    return torch.cat([first, cells], 1)


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize(
    ("shape", "grid"), [((3, 64, 64), (4, 4)), ((3, 224, 224), (14, 14)), ((3, 64, 128), (4, 8))]
)
def test_tokens_row_by_row_lie_so(shape, grid, prefix):
    found = answering(tokens_of(shape, grid, prefix=prefix))
    assert lies_so(TensorLayout("tokens", (3, *grid), prefix), found)


@pytest.mark.parametrize("order", ["columns", "mirrored"])
def test_tokens_in_another_order_do_not(order):
    found = answering(tokens_of((3, 224, 224), (14, 14), order))
    assert not lies_so(TensorLayout("tokens", (3, 14, 14), 0), found)


def test_another_grid_or_another_prefix_is_told():
    found = answering(tokens_of((3, 128, 128), (8, 8), prefix=0))
    assert not lies_so(TensorLayout("tokens", (3, 4, 16), 0), found)
    rows = answering(tokens_of((3, 64, 64), (4, 4), prefix=1))
    assert not lies_so(TensorLayout("tokens", (3, 4, 4), 0), rows), "off by the class token"


def test_one_token_may_answer_elsewhere_and_no_more():
    held = TensorLayout("tokens", (3, 4, 4), 0)
    found = answering(tokens_of((3, 64, 64), (4, 4)))
    found[0] = 15
    assert lies_so(held, found)
    found[1] = 0
    assert not lies_so(held, found)


def test_each_copy_differs_in_one_spot():
    pictures = disturbed((1, 64, 32))
    changed = (pictures[1:] != pictures[:1]).flatten(1).sum(1).tolist()
    assert changed == [2 * 2] * 6
    assert torch.equal(disturbed((1, 64, 32)), pictures)
