"""Transforms of torchvision, timm and OpenCLIP: read, they make the pixels that they make by
themselves; what cannot be read is run."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models
from torchvision import transforms as v1
from torchvision.transforms import v2

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.transforms import AsItIs, is_transform, of_transform
from camcli.errors import ImageError, UsageError

MEAN, STD = (0.31, 0.62, 0.17), (0.11, 0.43, 0.26)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """(H, W, 3) uint8: smooth, so that a level of rounding is all that filters may differ by."""
    y, x = np.mgrid[0:180, 0:260]
    rgb = np.stack([x * 255 / 260, y * 255 / 180, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], 2)
    return rgb.astype(np.uint8)


def _convert_to_rgb(image):
    return image.convert("RGB")


READ = {
    "as in tutorials": v1.Compose(
        [v1.Resize(96), v1.CenterCrop(80), v1.ToTensor(), v1.Normalize(MEAN, STD)]
    ),
    "squashed": v1.Compose([v1.Resize((64, 64)), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "oblong": v1.Compose([v1.Resize((48, 96)), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "squashed and cut": v1.Compose(
        [v1.Resize((100, 110)), v1.CenterCrop((80, 96)), v1.ToTensor(), v1.Normalize(MEAN, STD)]
    ),
    "bicubic": v1.Compose([
        v1.Resize(90, v1.InterpolationMode.BICUBIC), v1.CenterCrop(90), v1.ToTensor(),
    ]),
    "lanczos": v1.Compose([
        v1.Resize((64, 64), v1.InterpolationMode.LANCZOS), v1.ToTensor(),
    ]),
    "nearest": v1.Compose([
        v1.Resize((64, 64), v1.InterpolationMode.NEAREST), v1.ToTensor(),
    ]),
    "grey": v1.Compose([
        v1.Grayscale(), v1.Resize((32, 32)), v1.ToTensor(), v1.Normalize((0.1307,), (0.3081,)),
    ]),
    "one number": v1.Compose([v1.Resize((32, 32)), v1.ToTensor(), v1.Normalize(0.5, 0.25)]),
    "twice": v1.Compose([
        v1.Resize((32, 32)), v1.ToTensor(), v1.Normalize(MEAN, STD), v1.Normalize(STD, MEAN),
    ]),
    "v2": v2.Compose([
        v2.ToImage(), v2.Resize(96), v2.CenterCrop(80), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]),
    "v2 without antialias": v2.Compose([
        v2.ToImage(), v2.Resize((64, 64), antialias=False), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]),
    "v2 in 255ths": v2.Compose([
        v2.PILToTensor(), v2.Resize((64, 64)), v2.ToDtype(torch.float32, scale=False),
        v2.Normalize([123.7, 116.3, 103.5], [58.4, 57.1, 57.4]),
    ]),
    "v1 in 255ths": v1.Compose([
        v1.Resize((64, 64)), v1.PILToTensor(), v1.ConvertImageDtype(torch.float32),
    ]),
    "open_clip": v1.Compose([
        v1.Resize(96, v1.InterpolationMode.BICUBIC), v1.CenterCrop((96, 96)), _convert_to_rgb,
        v1.ToTensor(), v1.Normalize(MEAN, STD),
    ]),
    "nested": v1.Compose([
        v1.Compose([v1.Resize(96), v1.CenterCrop(80)]),
        nn.Sequential(v2.ToImage(), v2.ToDtype(torch.float32, scale=True)), v1.Normalize(MEAN, STD),
    ]),
    "torchvision's weights": models.ResNet18_Weights.DEFAULT.transforms(),
    "of another size": models.EfficientNet_B3_Weights.DEFAULT.transforms(),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read_makes_the_same_pixels(photograph, name):
    """To two levels of 255: one way rounds once a side, the other not."""
    own, sized = of_transform(READ[name])
    assert type(own) is Preprocess
    assert sized
    theirs = READ[name](Image.fromarray(photograph))
    got = own.tensor(photograph)[0]
    assert got.shape == theirs.shape == own.shape
    scale = torch.tensor(own.std[: len(got)]).view(-1, 1, 1) * 255
    away = (got - theirs).abs() * scale
    assert away.max() <= 2.1
    assert away.mean() < 0.35


def test_timms_transforms_are_read(photograph):
    import timm.data

    config = {"input_size": (3, 96, 96), "interpolation": "bicubic", "mean": MEAN, "std": STD}
    for more in ({"crop_pct": 0.9}, {"crop_pct": 1.0, "crop_mode": "squash"}):
        theirs = timm.data.create_transform(**config, **more)
        own, _ = of_transform(theirs)
        assert type(own) is Preprocess
        away = own.tensor(photograph)[0] - theirs(Image.fromarray(photograph))
        assert (away.abs() * torch.tensor(STD).view(3, 1, 1) * 255).max() <= 2.1


def test_what_no_transform_says_stays():
    own, sized = of_transform(
        v1.Compose([v1.ToTensor(), v1.Normalize(MEAN, STD)]), Preprocess(size=48, fit="squash")
    )
    assert not sized
    assert own == Preprocess(size=48, fit="squash", mean=MEAN, std=STD)


RUN = {
    "follows the photograph": v1.Compose([v1.Resize(64), v1.ToTensor()]),
    "fills up": v1.Compose([v1.Resize(64), v1.CenterCrop(96), v1.ToTensor()]),
    "unknown steps": v1.Compose([
        v1.Resize((64, 64)), v1.ColorJitter(0.0), v1.ToTensor(), lambda x: x * 2 - 1,
    ]),
    "grey of three channels": v1.Compose([v1.Resize((64, 64)), v1.Grayscale(3), v1.ToTensor()]),
    "cut first": v1.Compose([v1.CenterCrop(100), v1.Resize((64, 64)), v1.ToTensor()]),
    "nearest of torch": v2.Compose([
        v2.ToImage(), v2.Resize((64, 64), v2.InterpolationMode.NEAREST),
        v2.ToDtype(torch.float32, scale=True),
    ]),
    "a longest side": v1.Compose([v1.Resize(64, max_size=80), v1.ToTensor()]),
    "a function": lambda picture: torch.full((2, 5, 7), float(picture.width)),
    "of Hugging Face": lambda picture: {"pixel_values": [np.zeros((3, 8, 8), np.float32)]},
}  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_what_cannot_be_read_is_run_as_it_is(photograph, name):
    own, sized = of_transform(RUN[name])
    assert isinstance(own, AsItIs)
    assert sized
    theirs = RUN[name](Image.fromarray(photograph))
    if isinstance(theirs, dict):
        theirs = torch.from_numpy(theirs["pixel_values"][0])
    assert torch.equal(own.tensor(photograph)[0], theirs)
    assert own.view(260, 180) == (0, 0, 260, 180)
    assert own.with_(fit=None, size=None) is own
    with pytest.raises(UsageError, match="decides on fit"):
        own.with_(fit="crop")
    assert "0x" not in str(own.to_dict())


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda p: p, "Image"),
        (lambda p: torch.zeros(3, 4, 4, dtype=torch.uint8), r"Tensor of shape \(3, 4, 4\)"),
        (lambda p: torch.zeros(2, 3, 4, 4), r"\(2, 3, 4, 4\)"),
        (lambda p: {}["x"], "KeyError"),
        (5, "cannot be called"),
    ],
)
def test_what_makes_no_tensor_is_refused(made, told):
    with pytest.raises(UsageError, match=told):
        of_transform(made)


def test_a_picture_that_it_fails_on_is_that_pictures_error():
    own, _ = of_transform(lambda picture: torch.zeros(3, 8, 8) / (picture.width != 9))

    def fails(picture):
        assert picture.width != 9
        return torch.zeros(3, 8, 8)

    own, _ = of_transform(fails)
    own.pixels(np.zeros((9, 8, 3), np.uint8))
    with pytest.raises(ImageError, match="AssertionError"):
        own.pixels(np.zeros((8, 9, 3), np.uint8))


def test_what_is_a_transform():
    assert is_transform(READ["as in tutorials"])
    assert is_transform(models.ResNet18_Weights.DEFAULT.transforms())
    assert is_transform(v1.Normalize(MEAN, STD))
    assert not is_transform(nn.Linear(3, 3))
    assert not is_transform(print)
    assert not is_transform("imagenet")
