"""Drawing with signed distances: shaded bodies, surfaces and clutter on a small canvas.

A shape is an array of distances in pixels, negative inside: it gives the antialiased edge, the
exact mask and, by its gradient, the normals for shading.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

Array = np.ndarray


Slices = tuple[slice, slice]


def _window(distance: Array) -> Slices | None:
    """The rows and columns that a shape touches, and one more for gradients; None for none."""
    inside = distance < 1
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return None

    def span(touched: np.ndarray) -> slice:
        return slice(max(0, int(touched[0]) - 1), int(touched[-1]) + 2)

    return span(rows), span(columns)


def _cut(colour: Array, window: Slices) -> Array:
    """A colour, or a picture of colours, as it is in the window."""
    colour = np.asarray(colour, np.float32)
    return colour if colour.ndim == 1 else colour[window]


class Canvas:
    """A picture in the making.

    Attributes:
        rgb: (S, S, 3) float32 in [0, 1].
        light: unit vector towards the light, (x right, y down, z towards the viewer).
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.y, self.x = np.mgrid[0:size, 0:size].astype(np.float32) + np.float32(0.5)
        self.rgb = np.zeros((size, size, 3), np.float32)
        angle = rng.uniform(-2.4, -0.7)  # somewhere above
        light = np.array([np.cos(angle) * 0.6, np.sin(angle) * 0.6, rng.uniform(0.6, 0.9)])
        self.light = (light / np.linalg.norm(light)).astype(np.float32)

    def local(self, place: Placement) -> tuple[Array, Array]:
        """Coordinates (u, v) of every pixel as `place` sees them."""
        x, y = self.x - np.float32(place.x), self.y - np.float32(place.y)
        c, s = np.float32(np.cos(place.angle)), np.float32(np.sin(place.angle))
        return (c * x + s * y) / np.float32(place.scale), (c * y - s * x) / np.float32(place.scale)

    def shadow(self, distance: Array, reach: float, strength: float = 0.45) -> None:
        """Darken what lies behind a body, away from the light."""
        dx, dy = (-self.light[:2] * reach * 0.6).round().astype(int)
        moved = np.roll(distance, (dy, dx), (0, 1))
        soft = _smooth(-moved / np.float32(max(reach, 1)) * np.float32(0.9) + np.float32(0.5))
        self.rgb *= (1 - np.float32(strength) * soft)[..., None]

    def body(self, distance: Array, colour: Array, depth: float, gloss: float = 0.0) -> None:
        """Paint a shape that bulges towards the viewer.

        Args:
            distance: (S, S) in pixels.
            colour: (3,) or (S, S, 3), in [0, 1].
            depth: pixels from the edge to where it is flat.
            gloss: strength of the highlight, 0 to 1.
        """
        window = _window(distance)
        if window is None:
            return
        distance, colour = distance[window], _cut(colour, window)
        gy, gx = np.gradient(distance)
        norm = np.sqrt(gx * gx + gy * gy) + np.float32(1e-6)
        rim = 1 - np.clip(-distance / np.float32(depth), 0, 1)
        nz = np.sqrt(np.clip(1 - rim * rim, 0, 1))
        facing = (gx * self.light[0] + gy * self.light[1]) / norm * rim + nz * self.light[2]
        lit = np.float32(0.38) + np.float32(0.72) * np.clip(facing, 0, 1)
        painted = colour * lit[..., None]
        if gloss:
            half = self.light + np.array([0, 0, 1], np.float32)
            half /= np.linalg.norm(half)
            shine = (gx * half[0] + gy * half[1]) / norm * rim + nz * half[2]
            painted = painted + np.float32(gloss) * (np.clip(shine, 0, 1) ** 40)[..., None]
        self._blend(window, distance, painted)

    def paint(self, distance: Array, colour: Array) -> None:
        """Paint a flat shape, antialiased."""
        window = _window(distance)
        if window is not None:
            self._blend(window, distance[window], _cut(colour, window))

    def _blend(self, window: Slices, distance: Array, colour: Array) -> None:
        alpha = np.clip(np.float32(0.5) - distance, 0, 1)[..., None]
        self.rgb[window] += (colour - self.rgb[window]) * alpha

    def finish(self, rng: np.random.Generator) -> Array:
        """Exposure, a slight cast and sensor noise; to (S, S, 3) uint8."""
        cast = rng.uniform(0.93, 1.07, 3).astype(np.float32) * np.float32(rng.uniform(0.8, 1.1))
        noise = rng.standard_normal(self.rgb.shape, dtype=np.float32) * np.float32(0.012)
        return (np.clip(self.rgb * cast + noise, 0, 1) * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a shape stands: centre and unit length in pixels, clockwise angle in radians."""

    x: float
    y: float
    scale: float
    angle: float = 0.0


# -- shapes in unit coordinates ----------------------------------------------------------------


def ellipse(u: Array, v: Array, a: float, b: float) -> Array:
    """Approximate distance to an ellipse with half axes a and b."""
    return (np.sqrt((u / a) ** 2 + (v / b) ** 2) - 1) * min(a, b)


def box(u: Array, v: Array, a: float, b: float, corner: float = 0.0) -> Array:
    """Distance to a box with half sides a and b and rounded corners."""
    p, q = np.abs(u) - (a - corner), np.abs(v) - (b - corner)
    outside = np.sqrt(np.maximum(p, 0) ** 2 + np.maximum(q, 0) ** 2)
    return outside + np.minimum(np.maximum(p, q), 0) - corner


def leaf(u: Array, v: Array, length: float, width: float) -> Array:
    """A pointed leaf along u: where two equal circles overlap."""
    radius = (length**2 + width**2) / (2 * width)
    shift = radius - width
    return np.maximum(np.hypot(u, v - shift), np.hypot(u, v + shift)) - radius


def stroke(u: Array, v: Array, points: Array, width: float) -> Array:
    """Distance to a polyline of (N, 2) points, `width` thick on either side."""
    best = np.full_like(u, np.inf)
    for (ax, ay), (bx, by) in pairwise(points):
        dx, dy = bx - ax, by - ay
        t = np.clip(((u - ax) * dx + (v - ay) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        best = np.minimum(best, np.hypot(u - ax - t * dx, v - ay - t * dy))
    return best - width


# -- textures ----------------------------------------------------------------------------------


def noise(size: int, rng: np.random.Generator, cells: tuple[int, int], octaves: int = 1) -> Array:
    """Smooth random values in about [-1, 1], (size, size); `cells`: features down and across."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        rows, columns = (min(c << octave, size) for c in cells)
        grid = rng.uniform(-1, 1, (rows + 1, columns + 1)).astype(np.float32)
        up = Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(up) / np.float32(1 << octave)
    return total


def hsv(hue: float, saturation: float, value: float) -> Array:
    """One colour, each argument in [0, 1] (the hue wraps)."""
    k = (np.array([5, 3, 1]) + hue * 6) % 6
    rgb = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return rgb.astype(np.float32)


def mix(one: Array, other: Array, share: Array) -> Array:
    """From colour `one` to colour `other` by a (S, S) share in [0, 1]."""
    return one + (other - one) * np.clip(share, 0, 1)[..., None].astype(np.float32)


def _smooth(t: Array) -> Array:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


# -- surfaces and clutter, the same for every class ---------------------------------------------


def surface(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with a table, cloth, stone or lawn of any colour."""
    size = canvas.size
    paint = [_planks, _checks, _stone, _stripes][rng.integers(4)]
    canvas.rgb[:] = paint(canvas, rng)
    shade = 1 + np.float32(0.22) * noise(size, rng, (2, 2))
    canvas.rgb *= np.clip(shade, 0.5, 1.3)[..., None]


def clutter(canvas: Canvas, rng: np.random.Generator, count: int) -> None:
    """Things that are no fruit, in the fruits' colours too: cards, bars, rings, leaves, twigs."""
    for _ in range(count):
        thing(canvas, rng, rng.uniform(0.05, 0.16) * canvas.size, rng.uniform(0, 1, 2))


def thing(canvas: Canvas, rng: np.random.Generator, scale: float, at: Array) -> Array:
    """Draw one piece of clutter.

    Args:
        canvas: to draw on.
        rng: decides what it is.
        scale: half of its length in pixels.
        at: its centre, (x, y) in [0, 1].

    Returns:
        Its (S, S) distance in pixels.
    """
    place = Placement(at[0] * canvas.size, at[1] * canvas.size, scale, rng.uniform(0, 2 * np.pi))
    u, v = canvas.local(place)
    kind = rng.integers(5)
    if kind == 0:
        unit = box(u, v, 1, rng.uniform(0.4, 0.9), 0.08)
    elif kind == 1:
        unit = box(u, v, 1.3, rng.uniform(0.12, 0.25), 0.1)
    elif kind == 2:
        unit = np.abs(np.hypot(u, v) - 0.8) - rng.uniform(0.1, 0.22)
    elif kind == 3:
        unit = leaf(u, v, 1.2, rng.uniform(0.3, 0.5))
    else:
        bend = rng.uniform(-0.5, 0.5, 2)
        unit = stroke(u, v, np.array([[-1.5, bend[0]], [0, 0], [1.5, bend[1]]]), 0.07)
    distance = (unit * scale).astype(np.float32)
    colour = hsv(rng.uniform(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.95))
    canvas.shadow(distance, scale * 0.3)
    if kind in (0, 3):
        stripes = np.sin((v if kind == 0 else u) * rng.uniform(5, 14)) > 0.6
        colour = mix(colour, colour * np.float32(0.75), stripes)
    canvas.body(distance, colour, max(2.0, scale * 0.12), 0.15)
    return distance


def _palette(rng: np.random.Generator) -> tuple[Array, Array]:
    hue = rng.uniform()
    first = hsv(hue, rng.uniform(0.1, 0.65), rng.uniform(0.35, 0.9))
    other = hsv(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.1, 0.6), rng.uniform(0.3, 0.95))
    return first, other


def _planks(canvas: Canvas, rng: np.random.Generator) -> Array:
    size = canvas.size
    first, other = _palette(rng)
    u, v = canvas.local(
        Placement(0, 0, size / rng.uniform(3, 6), rng.choice([0, np.pi / 2, 0.3, -0.4]))
    )
    plank = np.floor(v).astype(int)
    tone = rng.uniform(-0.5, 0.5, 64).astype(np.float32)[plank % 64]
    wave = noise(size, rng, (3, 3)) * np.float32(0.6)
    grain = np.sin((v * 22 + wave * 6 + tone * 9) + np.sin(u * 1.7 + tone * 20) * np.float32(1.5))
    seam = np.minimum(v - plank, plank + 1 - v) < 0.03
    wood = mix(first, other, np.float32(0.5) + tone * np.float32(0.5) + grain * np.float32(0.13))
    return wood * np.where(seam, np.float32(0.45), np.float32(1))[..., None]


def _checks(canvas: Canvas, rng: np.random.Generator) -> Array:
    first, other = _palette(rng)
    u, v = canvas.local(Placement(0, 0, canvas.size / rng.uniform(5, 10), rng.uniform(-0.6, 0.6)))
    across, down = np.floor(u) % 2, np.floor(v) % 2
    weave = np.sin(u * 40) * np.sin(v * 40) * np.float32(0.06)
    return mix(first, other, (across + down) / 2 + weave)


def _stone(canvas: Canvas, rng: np.random.Generator) -> Array:
    first, other = _palette(rng)
    cells = int(rng.integers(3, 9))
    rough = noise(canvas.size, rng, (cells, cells), octaves=4)
    veins = np.exp(-np.abs(noise(canvas.size, rng, (3, 3), octaves=3)) * np.float32(14))
    return mix(first, other, np.float32(0.5) + rough * np.float32(0.4)) * (
        1 - np.float32(0.3) * veins[..., None]
    )


def _stripes(canvas: Canvas, rng: np.random.Generator) -> Array:
    first, other = _palette(rng)
    third = hsv(rng.uniform(), rng.uniform(0.2, 0.8), rng.uniform(0.4, 0.9))
    u, _ = canvas.local(Placement(0, 0, canvas.size / rng.uniform(4, 12), rng.uniform(0, np.pi)))
    band = np.floor(u + np.float32(0.15) * noise(canvas.size, rng, (4, 4))) % 3
    cloth = np.where((band == 0)[..., None], first, np.where((band == 1)[..., None], other, third))
    return cloth * (1 + np.float32(0.08) * noise(canvas.size, rng, (64, 64))[..., None])
