"""The properties of one photograph: light, colour, sharpness by its pixels, the rest by its file.

Pixels are looked at in the middle three quarters of both sides, so that a frame, a line of text at
the edge or a time stamp is not taken for a property of the photograph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.findings.audited_photo import LONGEST, reduced
from camcli.evaluate.properties.file_facts import FileFacts, file_facts
from camcli.evaluate.properties.spectrum import spectrum

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""At which the channels' values are kept."""

RINGS = 6
"""Around the middle of a photograph, the outermost in its corners; see `radius`."""

_CELLS = 24  # rows and columns in which the rings' brightness is counted
_DARK = 8.0  # grey levels, added before a logarithm is taken
_COLOURS = 128  # pixels of the longer side on which light and colours are measured
SHARPNESS = 256
"""Pixels of the shorter side of the middle on which blur is measured: about what networks see."""

_NEUTRAL = 12.0  # how far from grey a pixel may be to say something of the light, in Lab
_LEAST_EDGE = 12.0  # Sobel's answer in grey levels to what is an edge
_SHARPEST = 0.4  # of edges' widths, that of the sharper ones: what lies behind them may be soft
_REBLUR = 1.0  # sigma in pixels
_GREY = 12  # largest difference of a grey pixel's channels: JPEG's own errors
_BLOCK = 16  # pixels of the side of a block, in which edges are looked for and noise is measured
# Answers to a second derivative both ways, whose noise is 6 times a pixel's (Immerkaer, 1996).
_SECOND = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True)
class PhotoProperties:
    """What is known of one photograph as a whole.

    Attributes:
        width: in its own pixels, upright.
        height: likewise.
        brightness: mean lightness L*, 0 to 100.
        contrast: standard deviation of L*.
        saturation: mean chroma of Lab.
        cast: (a, b) of Lab of what is nearly neutral: the colour of the light.
        highlights: (a, b) of the brightest pixels that are not clipped.
        tint: by how much the edges' red is stronger than green, and both than blue: logarithms.
        grey: whether it has no colours.
        blur: how wide edges are, as the sigma of a Gaussian in pixels of a picture whose shorter
            side is 256 pixels or less; None where it has no edges.
        noise: standard deviation of the noise in grey levels, where it is least covered.
        tones: value of each channel at `QUANTILES`, R first, 0 to 255.
        falloff: by how much the logarithm of the brightness changes from the middle to the corners,
            where it changes evenly: what is in the picture hardly matters.
        rings: how bright it is from the middle to the corners: logarithms of the mean grey level of
            `RINGS` rings, less that of the innermost.
        spectrum: how strong fine and coarse structures are, see `spectrum.spectrum`; None where it
            is too small.
        file: what its file says.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    saturation: float
    cast: tuple[float, float]
    highlights: tuple[float, float]
    tint: tuple[float, float]
    grey: bool
    blur: float | None
    noise: float
    tones: tuple[tuple[float, ...], ...]
    falloff: float = 0.0
    rings: tuple[float, ...] = ()
    spectrum: tuple[float, ...] | None = None
    file: FileFacts = field(default_factory=FileFacts)

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.width / self.height

    @property
    def side(self) -> float:
        """Side of a square of as many pixels."""
        return math.sqrt(self.width * self.height)


def measure(rgb: np.ndarray, ref: ImageRef, data: bytes | None = None) -> PhotoProperties:
    """The properties of one photograph.

    Args:
        rgb: (H, W, 3) uint8, upright; may have been decoded smaller than it is.
        ref: where it is, for what its file says.
        data: its bytes, where they are at hand; they are read again otherwise.

    Example:
        >>> measure(load_image(ref), ref).blur  # doctest: +SKIP
        0.83
    """
    return of_pixels(rgb, file_facts(ref, data))


def of_pixels(rgb: np.ndarray, file: FileFacts | None = None) -> PhotoProperties:
    """As `measure`, for pixels that are in no file, as those of a photograph that was changed.

    Args:
        rgb: (H, W, 3) uint8.
        file: what is known of the file that they came from; sizes are the pixels' own without it.
    """
    file = file or FileFacts()
    height, width = rgb.shape[:2]
    width, height = file.size or (width, height)
    middle = _middle(reduced(rgb, LONGEST))
    small = _at_most(middle, _COLOURS / max(middle.shape[:2]))
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    light, a, b = np.ascontiguousarray(lab.T)  # rows, along which NumPy is fast
    chroma = a * a + b * b
    grey = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
    channels = [np.ascontiguousarray(small[..., channel]) for channel in range(3)]
    falloff, rings = _outwards(rgb)
    sharpness = _at_most(grey, SHARPNESS / min(grey.shape))
    spread = np.maximum.reduce(channels) - np.minimum.reduce(channels)
    return PhotoProperties(
        width=width,
        height=height,
        brightness=float(light.mean()),
        contrast=float(light.std()),
        saturation=float(np.sqrt(chroma).mean()),
        cast=_neutral(a, b, chroma),
        highlights=_highlights(light, a, b),
        tint=_tint(channels),
        grey=bool(np.mean(spread > _GREY) < 0.01),
        blur=edge_width(sharpness),
        noise=noise(grey),
        tones=tuple(_tones(channel) for channel in channels),
        falloff=falloff,
        rings=rings,
        spectrum=spectrum(sharpness),
        file=file,
    )


def edge_width(grey: np.ndarray) -> float | None:
    """How wide the sharper edges are, as the sigma of a Gaussian that made them so, in pixels.

    An edge that a Gaussian of s has blurred is sqrt(1 + r^2 / s^2) times as steep as after another
    blur of r, however high it is (Zhuo and Sim, 2011): contrast and content do not matter.

    Args:
        grey: (h, w) uint8.

    Returns:
        With what sampling itself adds, about 0.65 in quadrature; None where there are no edges.
    """
    if min(grey.shape) < 8:
        return None
    values = grey.astype(np.float32)
    again = _steepness(cv2.GaussianBlur(values, (0, 0), _REBLUR))
    steep = _blocks(_steepness(values))
    # One edge a block, so that a mark with its many sharp edges is not taken for the photograph.
    blocks = _blocks(again)
    steepest = blocks.argmax(1)[:, None]
    high = np.take_along_axis(blocks, steepest, 1)[:, 0]
    edges = high >= max(float(np.median(high)), _LEAST_EDGE)
    if edges.sum() < 8:
        return None
    ratio = np.take_along_axis(steep, steepest, 1)[edges, 0] / high[edges]
    ratio = np.maximum(ratio, 1.001)
    return float(np.quantile(_REBLUR / np.sqrt(ratio * ratio - 1), _SHARPEST))


def noise(grey: np.ndarray) -> float:
    """Standard deviation of the noise in grey levels, by the smoother blocks.

    Args:
        grey: (h, w) uint8.
    """
    if min(grey.shape) < 3:
        return 0.0
    second = np.abs(cv2.filter2D(grey, cv2.CV_32F, _SECOND)[1:-1, 1:-1])
    side = min(_BLOCK, *second.shape)
    shape = (second.shape[1] // side, second.shape[0] // side)
    crop = (slice(shape[1] * side), slice(shape[0] * side))
    blocks = cv2.resize(second[crop], shape, interpolation=cv2.INTER_AREA)
    level = cv2.resize(grey[1:-1, 1:-1][crop], shape, interpolation=cv2.INTER_AREA)
    usual = blocks[(level > 8) & (level < 247)]  # where it is clipped, nothing is seen of noise
    return float(np.quantile(usual if usual.size else blocks, 0.2)) * math.sqrt(math.pi / 2) / 6


def radius(height: int, width: int) -> np.ndarray:
    """(height, width): how far from the middle, 1 in the corners, whatever the shape."""
    down = np.linspace(-1, 1, 2 * height + 1, dtype=np.float32)[1::2, None]
    across = np.linspace(-1, 1, 2 * width + 1, dtype=np.float32)[None, 1::2]
    return np.asarray(np.hypot(down, across) / math.sqrt(2))


@cache
def _ring_of_cell() -> np.ndarray:
    """The ring that each cell of a picture belongs to."""
    return np.minimum(radius(_CELLS, _CELLS) * RINGS, RINGS - 1).astype(int).reshape(-1)


@cache
def _outward() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which cells are neither in the middle nor at a border, and what leads outwards from each."""
    place = np.linspace(-1, 1, 2 * _CELLS + 1)[1::2]
    down, across = np.meshgrid(place, place, indexing="ij")
    far = np.hypot(down, across)
    # To the corners it is half the cells of a side, times the root of two.
    scale = _CELLS / math.sqrt(2) / far
    inside = np.maximum(np.abs(down), np.abs(across)) < 0.85  # of a frame
    return (far > 0.6) & inside, down * scale, across * scale


def _outwards(rgb: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """`PhotoProperties.falloff` and `.rings`."""
    cells = cv2.resize(rgb, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cells, cv2.COLOR_RGB2GRAY).astype(np.float64)
    ring = _ring_of_cell()
    mean = np.log(np.bincount(ring, grey.reshape(-1)) / np.bincount(ring) + _DARK)
    outer, down, across = _outward()
    steep_down, steep_across = np.gradient(np.log(grey + _DARK))
    falloff = np.median((steep_down * down + steep_across * across)[outer])
    return float(falloff), tuple((mean - mean[0]).tolist())


def _middle(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    top, left = height // 8, width // 8
    return np.ascontiguousarray(rgb[top : height - top, left : width - left])


def _at_most(pixels: np.ndarray, ratio: float) -> np.ndarray:
    """Smaller by a ratio; larger never."""
    if ratio >= 1:
        return pixels
    height, width = pixels.shape[:2]
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _neutral(a: np.ndarray, b: np.ndarray, chroma: np.ndarray) -> tuple[float, float]:
    """Mean colour, the more weight the nearer to grey: (a, b); `chroma` is its square."""
    weight = np.exp(chroma * np.float32(-0.5 / _NEUTRAL**2))
    total = float(weight.sum())
    if total < 1e-3 * len(a):  # nothing is neutral: that is a cast, and a strong one
        return float(np.median(a)), float(np.median(b))
    return float(a @ weight) / total, float(b @ weight) / total


def _highlights(light: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Median colour of the brightest twentieth."""
    bright = light >= np.partition(light, -1 - len(light) // 20)[-1 - len(light) // 20]
    return float(np.median(a[bright])), float(np.median(b[bright]))


def _tint(channels: list[np.ndarray]) -> tuple[float, float]:
    """The light's colour by the edges (van de Weijer's grey edge): what is multiplied shows."""
    red, green, blue = (_edge_strength(channel) for channel in channels)
    return red - green, (red + green) / 2 - blue


def _edge_strength(channel: np.ndarray) -> float:
    """Logarithm of how steep edges are; not of the steepest, which one coloured mark may have."""
    steep = _steepness(cv2.GaussianBlur(channel.astype(np.float32), (0, 0), 1)).reshape(-1)
    place = len(steep) * 4 // 5
    return math.log(float(np.partition(steep, place)[place]) + 1.0)


def _tones(channel: np.ndarray) -> tuple[float, ...]:
    """Its values at `QUANTILES`, by counting."""
    counts = np.bincount(channel.reshape(-1), minlength=256).cumsum()
    return tuple(float(np.searchsorted(counts, share * counts[-1])) for share in QUANTILES)


def _blocks(values: np.ndarray) -> np.ndarray:
    """(N, side * side): the blocks of a picture, without what is left over at two sides."""
    side = min(_BLOCK, *values.shape)
    rows, columns = values.shape[0] // side, values.shape[1] // side
    cut = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.ascontiguousarray(cut.swapaxes(1, 2)).reshape(rows * columns, side * side)


def _steepness(values: np.ndarray) -> np.ndarray:
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, ksize=3)
    return cv2.magnitude(across, cv2.Sobel(values, cv2.CV_32F, 0, 1, ksize=3))
