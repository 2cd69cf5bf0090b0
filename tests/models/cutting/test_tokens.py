"""Maps as networks hold them, there and back, with every cell where it belongs."""

import pytest
import torch

from camcli.errors import CamcliError
from camcli.models.cutting.cut import cut
from camcli.models.cutting.tokens import TensorLayout, fits, from_maps, layout_of, to_maps

# A (2, 3, 4, 5) of which every number says where it is: image, channel, row, column.
A = torch.tensor(
    [[[[1000 * b + 100 * k + 10 * i + j for j in range(5)] for i in range(4)] for k in range(3)]
     for b in range(2)], dtype=torch.float32,
)  # fmt: skip


def test_channels_first_are_maps():
    assert layout_of((2, 3, 4, 5), (64, 80)) == TensorLayout("maps", (3, 4, 5))
    (maps,) = to_maps(A, TensorLayout("maps", (3, 4, 5)))
    assert torch.equal(maps, A)


def test_channels_last_are_moved():
    last = A.permute(0, 2, 3, 1)
    layout = layout_of(tuple(last.shape), (64, 80))
    assert layout == TensorLayout("last", (3, 4, 5))
    (maps,) = to_maps(last, layout)
    assert torch.equal(maps, A)
    assert torch.equal(from_maps(maps, layout), last)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_are_laid_out_row_by_row_behind_the_prefix(prefix):
    """The class token, or registers, come first; then the cells as one reads."""
    cells = torch.stack([A[:, :, i, j] for i in range(4) for j in range(5)], 1)
    first = torch.full((2, prefix, 3), -1.0)
    tokens = torch.cat([first, cells], 1)
    layout = layout_of(tuple(tokens.shape), (64, 80), [(4, 5)])
    assert layout == TensorLayout("tokens", (3, 4, 5), prefix)
    maps, *rest = to_maps(tokens, layout)
    assert torch.equal(maps, A)
    assert [part.tolist() for part in rest] == ([first.tolist()] if prefix else [])
    assert torch.equal(from_maps(maps, layout, *rest), tokens)


def test_the_grid_of_tokens_is_guessed_from_their_number():
    """197 of a square image are 14 x 14 and one; 50 are 7 x 7 and one; 28 of 2:1 are 3 x 6..."""
    assert layout_of((1, 197, 768), (224, 224)) == TensorLayout("tokens", (768, 14, 14), 1)
    assert layout_of((1, 50, 768), (224, 224)) == TensorLayout("tokens", (768, 7, 7), 1)
    assert layout_of((1, 49, 768), (224, 224)) == TensorLayout("tokens", (768, 7, 7), 0)
    assert layout_of((1, 33, 8), (64, 128)) == TensorLayout("tokens", (8, 4, 8), 1)
    # 19 beside 6 x 6: more than any network has before its cells... and fewer than 7 x 7.
    assert layout_of((1, 36 + 12, 8), (96, 96)) == TensorLayout("tokens", (8, 6, 6), 12)
    assert layout_of((1, 2, 8), (96, 96)) is None
    assert layout_of((1, 8), (96, 96)) is None
    assert layout_of((1, 40, 8), (96, 96), [(3, 3)]) is None, "31 are no prefix"


def test_another_size_of_square_images_has_another_grid():
    layout = TensorLayout("tokens", (3, 4, 5), 1)
    tokens = torch.arange(2 * 10 * 3.0).view(2, 10, 3)
    maps, prefix = to_maps(tokens, layout)
    assert maps.shape == (2, 3, 3, 3)
    assert torch.equal(maps[:, :, 1, 2], tokens[:, 1 + 5])
    assert torch.equal(prefix, tokens[:, :1])
    with pytest.raises(CamcliError, match="square"):
        to_maps(tokens[:, :9], layout)


@pytest.mark.parametrize(
    ("grid", "image", "fit"),
    [
        ((7, 7), (224, 224), True), ((7, 8), (224, 224), False), ((1, 1), (224, 224), False),
        ((8, 12), (256, 384), True), ((12, 8), (256, 384), False), ((8, 13), (256, 384), True),
        ((8, 14), (256, 384), False), ((1, 2), (256, 512), False),
    ],
)  # fmt: skip
def test_maps_have_the_proportions_of_the_image(grid, image, fit):
    assert fits(grid, image) is fit


def test_rounding_of_a_matrix_product_is_no_influence_of_tokens():
    """A head of a thousand classes is rounded by how many rows it is asked for at a time."""
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    network = VisionTransformer(32, 8, 2, 4, 192, 64, num_classes=1000).eval()
    torch.nn.init.normal_(network.heads.head.weight, std=0.02)
    made = cut(network, 32)
    assert made.layer == "encoder.layers.encoder_layer_0"
    assert made.places[0].matters
