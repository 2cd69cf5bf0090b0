"""Steps that change sharpness, noise and JPEG's losses, and their controls."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from camcli.evaluate.properties.measure import SHARPNESS
from camcli.evaluate.properties.spectrum import frequencies, transfer
from camcli.evaluate.properties.steps import pixels, scaled, strength

_UNSEEN = 0.3  # grey levels: a smaller change is none
_MARGIN = 24  # pixels of mirror image around a picture, whose waves go round
_LIMITS = (0.02, 6.0)  # of what a wave is multiplied with: noise is not to be blown up
_MIDDLE = 0.75  # of both sides are what is measured
_COARSE = 4.0  # sigma in pixels of coarse noise
_STARLET = (0.889, 0.200, 0.086)  # deviation of white noise of 1 at the starlet's finest scales
_SURELY = 2.5  # of such deviations: what is as strong is noise


@dataclass(frozen=True, slots=True, eq=False)
class Sharpness:
    """Detail made weaker or stronger, so that its spectrum is that of other photographs.

    Attributes:
        ratio: logarithm of the ratio of powers, after to before, as `spectrum.spectrum` orders it.
    """

    ratio: np.ndarray

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Blurred, or sharpened."""
        difference = _filtered(rgb, self._gain(rgb))
        return None if strength(difference) < _UNSEEN else pixels(rgb + difference)

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Detail as strong as before, moved out of phase by as much."""
        difference = _out_of_phase(rgb, self._gain(rgb), rng)
        return None if strength(difference) < _UNSEEN else pixels(rgb + difference)

    def _gain(self, rgb: np.ndarray) -> Gain:
        scale = max(_MIDDLE * min(rgb.shape[:2]) / SHARPNESS, 1.0)
        return lambda height, width: transfer(height, width, self.ratio, scale, _LIMITS)


@dataclass(frozen=True, slots=True, eq=False)
class Smaller:
    """Fewer pixels: a network makes them large again, and detail is lost.

    Attributes:
        side: of a square of as many pixels as there are to be.
    """

    side: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """The photograph with fewer pixels."""
        ratio = self._ratio(rgb)
        if ratio > 0.95:
            return None
        height, width = rgb.shape[:2]
        size = max(8, round(width * ratio)), max(8, round(height * ratio))
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """As many pixels as before, detail moved out of phase by as much as was lost."""
        ratio = self._ratio(rgb)
        if ratio > 0.95:
            return None
        moved = _out_of_phase(rgb, lambda h, w: _low_pass(h, w, 0.5 * ratio), rng)
        return pixels(rgb + moved)

    def _ratio(self, rgb: np.ndarray) -> float:
        return float(self.side / np.sqrt(rgb.shape[0] * rgb.shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Noisier:
    """Noise in every pixel.

    Attributes:
        sigma: in grey levels.
    """

    sigma: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With noise."""
        return scaled(_noise(rgb, rng), rgb, self.sigma)

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With spots as strong, each many pixels wide."""
        return scaled(_spots(rgb, rng), rgb, self.sigma)


@dataclass(frozen=True, slots=True, eq=False)
class Smoother:
    """Noise taken away: what of fine structures is not stronger than noise.

    Attributes:
        sigma: of the noise, in grey levels.
    """

    sigma: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Without most of its noise: the starlet transform (Starck), thresholded."""
        coarse = rgb.astype(np.float32)
        kept = np.zeros_like(coarse)
        for scale, share in enumerate(_STARLET):
            kernel = np.zeros(4 * 2**scale + 1, np.float32)
            kernel[:: 2**scale] = np.array([1, 4, 6, 4, 1], np.float32) / 16
            smooth = cv2.sepFilter2D(coarse, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)
            fine = coarse - smooth
            kept += np.sign(fine) * np.maximum(np.abs(fine) - _SURELY * share * self.sigma, 0)
            coarse = np.asarray(smooth, np.float32)
        changed = pixels(coarse + kept)
        return None if strength(changed.astype(np.float32) - rgb) < _UNSEEN else changed

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With its noise, and as strong spots, each many pixels wide."""
        changed = self.change(rgb, rng)
        if changed is None:
            return None
        wanted = strength(changed.astype(np.float32) - rgb)
        return scaled(_spots(rgb, rng), rgb, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Reencoded:
    """Written as a JPEG and read again.

    Attributes:
        quality: as libjpeg counts it.
    """

    quality: int

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With JPEG's losses."""
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "JPEG", quality=self.quality)
        return np.array(Image.open(file))

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With noise as strong as JPEG's losses."""
        changed = self.change(rgb, rng)
        assert changed is not None
        wanted = strength(changed.astype(np.float32) - rgb)
        return None if wanted < _UNSEEN else scaled(_noise(rgb, rng), rgb, wanted)


Gain = Callable[[int, int], np.ndarray]
"""What to multiply waves with, for a picture of a height and a width."""


def _filtered(rgb: np.ndarray, gain_of: Gain) -> np.ndarray:
    """What multiplying its waves changes in a picture, (H, W, 3)."""
    waves, gain = _waves(rgb, gain_of)
    return _back(waves * (gain - 1), rgb)


def _out_of_phase(rgb: np.ndarray, gain_of: Gain, rng: np.random.Generator) -> np.ndarray:
    """As large a change that leaves every wave as strong as it is, and only moves it.

    A wave whose strength changes by the share c is turned by the angle at which it moves by as
    much: |exp(i t) - 1| = |c|. All waves that run to one side of a direction drawn by chance are
    turned the same way, so that what happens to an edge stays at the edge.
    """
    waves, gain = _waves(rgb, gain_of)
    down, across = np.fft.fftfreq(waves.shape[1])[:, None], np.fft.rfftfreq(_width(waves))[None]
    turn = rng.uniform(0, 2 * np.pi)
    side = np.sign(across * np.cos(turn) + down * np.sin(turn)).astype(np.float32)
    share = np.abs(gain - 1)
    power = (waves.real**2 + waves.imag**2).sum(0)
    wanted = float((power * share**2).sum())
    least, most = 1.0, 64.0  # no wave moves by more than twice itself: others move more for it
    for _ in range(12):
        factor = float(np.sqrt(least * most))
        found = float((power * np.minimum(factor * share, 2) ** 2).sum())
        least, most = (factor, most) if found < wanted else (least, factor)
    angle = side * (2 * np.arcsin(np.minimum(least * share, 2) / 2))
    turned = np.empty(angle.shape, np.complex64)
    turned.real, turned.imag = np.cos(angle) - 1, np.sin(angle)
    return _back(waves * turned, rgb)


def _waves(rgb: np.ndarray, gain_of: Gain) -> tuple[np.ndarray, np.ndarray]:
    """Each channel's waves within a margin of its mirror image, and what to multiply them with.

    Means are left out, and the margin fades, so that no step is where one end meets the other.

    Returns:
        (3, H', W') complex64 and (H', W') float32.
    """
    height, width = (_quick(side + 2 * _MARGIN) for side in rgb.shape[:2])
    below, beside = height - rgb.shape[0] - _MARGIN, width - rgb.shape[1] - _MARGIN
    padded = cv2.copyMakeBorder(
        rgb.astype(np.float32) - rgb.mean((0, 1), dtype=np.float32),
        _MARGIN, below, _MARGIN, beside, cv2.BORDER_REFLECT,
    )  # fmt: skip
    channels = np.ascontiguousarray(padded.transpose(2, 0, 1))
    channels *= _fading(height, below)[:, None] * _fading(width, beside)[None]
    return np.fft.rfft2(channels).astype(np.complex64), gain_of(height, width)


def _fading(length: int, last: int) -> np.ndarray:
    """1 along a picture's side, falling to 0 in the margins before it and behind it."""
    values = np.ones(length, np.float32)
    for margin, where in ((_MARGIN, slice(None, _MARGIN)), (last, slice(None, -last - 1, -1))):
        values[where] = np.sin(np.linspace(0, np.pi / 2, margin, endpoint=False)) ** 2
    return values


def _back(waves: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3): what waves are in the picture without its margin."""
    height, width = rgb.shape[:2]
    values = np.fft.irfft2(waves, (waves.shape[1], _width(waves)))
    inside = values[:, _MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width]
    return np.ascontiguousarray(inside.transpose(1, 2, 0), np.float32)


def _width(waves: np.ndarray) -> int:
    """Of the picture within its margin, which `_quick` makes even."""
    return 2 * (waves.shape[2] - 1)


def _quick(side: int) -> int:
    """The next even size that is quick to transform."""
    while (size := cv2.getOptimalDFTSize(side)) % 2:
        side = size + 1
    return size


def _low_pass(height: int, width: int, until: float) -> np.ndarray:
    fineness, _ = frequencies(height, width)
    return np.asarray(1 / (1 + (fineness / until) ** 8), np.float32)


def _noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(rgb.shape[:2], np.float32)


def _spots(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of no fine structure; mean 0, strength 1."""
    values = cv2.GaussianBlur(_noise(rgb, rng), (0, 0), _COARSE)
    values = values - values.mean()
    return np.asarray(values / max(float(values.std()), 1e-6), np.float32)
