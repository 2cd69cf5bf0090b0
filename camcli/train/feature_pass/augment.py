"""Augmented views: a random part of the photograph, perhaps mirrored, with other light.

The part is chosen in the geometry in which the network will look later. With ``squash`` it sees
photographs distorted to a square, so a part is distorted by the same ratio; with ``crop`` and
``whole`` it sees them undistorted, so a part is (but for the usual jitter of up to 4:3) a square of
the photograph.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.resize import resized

MIN_AREA = 0.35
"""Smallest share of the visible area that a view shows. ImageNet training goes down to 0.08, which
suits a million images; on small sets, views without the object teach the wrong thing."""
RATIO = 4 / 3
LIGHT = 0.3


def augmented(rgb: np.ndarray, preprocess: Preprocess, rng: np.random.Generator) -> Tensor:
    """One random view of a photograph.

    Args:
        rgb: (H, W, 3) uint8.
        preprocess: gives the size, the fit and the interpolation.
        rng: decides; equal states give equal views.

    Returns:
        (3, height, width) uint8, as the network takes it.
    """
    height, width = rgb.shape[:2]
    x, y, w, h = random_box(width, height, preprocess, rng)
    part, (_, tall, wide) = rgb[y : y + h, x : x + w], preprocess.shape
    view = resized(part, (wide, tall), preprocess.interpolation, (0, 0, wide, tall)).contiguous()
    if rng.random() < 0.5:
        view = view.flip(2)
    return _relit(view, rng)


def random_box(
    width: int, height: int, preprocess: Preprocess, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(x, y, w, h) in whole pixels: `MIN_AREA` to all of what the fit shows, inside the photo."""
    unit_w, unit_h = (width, height)
    if preprocess.fit != "squash":
        _, tall, wide = preprocess.shape
        scale = min(width / wide, height / tall)
        unit_w, unit_h = round(wide * scale), round(tall * scale)
    area = rng.uniform(MIN_AREA, 1)
    ratio = math.exp(rng.uniform(-math.log(RATIO), math.log(RATIO)))
    w = min(width, max(1, round(unit_w * math.sqrt(area * ratio))))
    h = min(height, max(1, round(unit_h * math.sqrt(area / ratio))))
    return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h


def view_rng(content: str, seed: int, number: int) -> np.random.Generator:
    """The generator of one view of one image: the same on every machine and in every order.

    Args:
        content: hash of the image file, in hex.
        seed: of the run.
        number: which view.
    """
    key = hashlib.sha256(f"{content}/{seed}/{number}".encode()).digest()
    return np.random.default_rng(np.frombuffer(key, np.uint32))


def _relit(view: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast and saturation, each by a factor of 1 ± LIGHT."""
    bright, contrast, colour = rng.uniform(1 - LIGHT, 1 + LIGHT, 3).tolist()
    pixels = view.float() * bright
    grey = pixels.mean(0, keepdim=True)
    pixels = grey + (pixels - grey) * colour
    middle = grey.mean()
    pixels = middle + (pixels - middle) * contrast
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
