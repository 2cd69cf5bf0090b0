"""What a search tried, in lines that fit a terminal."""

from types import SimpleNamespace

import pytest

from camcli.models.pooling.pooling import Pooling
from camcli.train.search.looks import ImageLook
from camcli.train.search.table import HEAD, line
from camcli.train.search.views import AS_IT_IS, LearntViews


@pytest.mark.parametrize(
    ("backbone", "pooling", "images", "took"),
    [
        ("efficientnet_lite0", "mean", 300, 1.5),
        ("timm:convnext_base.clip_laion2b", "mean+max+gem+std@a+std@b+std@c", 1_000_000, 12345.6),
    ],
)
def test_candidates_stand_in_columns_below_their_heading(backbone, pooling, images, took):
    tried = SimpleNamespace(
        look=ImageLook(backbone, 320, "squash"), pooling=Pooling.read(pooling), images=images,
        head="linear", seen=AS_IT_IS, judged=SimpleNamespace(loss=12.3456, accuracy=0.9876),
    )  # fmt: skip
    told = line(tried, took)
    assert len(told) == len(HEAD) <= 80
    for name, cell in (("images", str(images)), ("loss", "12.3456"), ("right", "0.9876"),
                       ("seconds", f"{took:.1f}")):  # fmt: skip
        assert told.index(cell) + len(cell) == HEAD.index(name) + len(name)
    tried.seen = LearntViews(2, mirror=True)
    assert line(tried, took).startswith("  best, mirrored + 2 p… ")
    assert len(line(tried, took)) == len(HEAD)
    tried.seen, tried.head = AS_IT_IS, "prototype"
    assert " prototype: mean" in line(tried, took)
    assert len(line(tried, took)) == len(HEAD)
    assert told.startswith("  lite0 320 squash " if images == 300 else "  convnext_… 320 squash ")
    tried.look = ImageLook("shufflenet_v2_x0_5", 64)
    assert line(tried, took).startswith("  shufflenet_v2_x0_5 64 ")
