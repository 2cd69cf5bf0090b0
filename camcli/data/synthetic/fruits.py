"""The drawn fruits: each a function that paints itself on a canvas and returns its mask.

What makes a class is the shape and the surface. Colours vary within a class and overlap between
classes (apples, pears and lemons are green or yellow or red), sizes and poses are drawn from the
same ranges, and the background knows nothing of the class.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camcli.data.synthetic.drawing import (
    Array,
    Canvas,
    Placement,
    ellipse,
    hsv,
    leaf,
    mix,
    noise,
    stroke,
)

Rng = np.random.Generator
Painter = Callable[[Canvas, Placement, Rng], Array]

_STEM = np.array([0.36, 0.24, 0.12], np.float32)


def draw_fruit(canvas: Canvas, name: str, place: Placement, rng: Rng) -> Array:
    """Paint one fruit with its shadow.

    Args:
        canvas: to draw on.
        name: one of `FRUITS`.
        place: the centre of its body, about its half width in pixels, and its tilt.
        rng: decides on colours and proportions.

    Returns:
        (S, S) bool: its pixels, stem and leaves included.
    """
    return _PAINTERS[name](canvas, place, rng)


class _Parts:
    """Paints parts at one place and collects their mask."""

    def __init__(self, canvas: Canvas, place: Placement) -> None:
        self.canvas, self.place = canvas, place
        self.u, self.v = canvas.local(place)
        self.through = np.ones_like(self.u)

    @property
    def mask(self) -> Array:
        """Where more of the fruit is seen than of what lies behind."""
        return self.through < 0.5

    def shadow(self, unit: Array, reach: float = 0.35) -> None:
        self.canvas.shadow(self._pixels(unit), self.place.scale * reach)

    def body(self, unit: Array, colour: Array, depth: float, gloss: float = 0.35) -> None:
        distance = self._pixels(unit)
        self.canvas.body(distance, colour, max(1.0, depth * self.place.scale), gloss)
        self.through *= 1 - np.clip(np.float32(0.5) - distance, 0, 1)

    def leaf(self, at: tuple[float, float], angle: float, length: float, width: float) -> None:
        x, y = self.u - at[0], self.v - at[1]
        c, s = np.cos(angle), np.sin(angle)
        along, across = c * x + s * y - length, c * y - s * x
        green = hsv(0.29, 0.7, 0.5) * (1 - 0.3 * (np.abs(across) < 0.03)[..., None])
        self.body(leaf(along, across, length, width), green, 0.25, 0.1)

    def _pixels(self, unit: Array) -> Array:
        return (unit * self.place.scale).astype(np.float32)


def _polar(u: Array, v: Array, radius: Callable[[Array], Array]) -> Array:
    """Approximate distance to r = radius(angle); angle 0 points down, positive to the right."""
    r = radius(np.arctan2(u, v))
    return np.hypot(u, v) - r


def _bump(angle: Array, at: float, width: float) -> Array:
    away = np.abs((angle - at + np.pi) % (2 * np.pi) - np.pi)
    return np.exp(-((away / width) ** 2))


def _patchy(canvas: Canvas, rng: Rng, colours: list[Array], cells: int = 2) -> Array:
    """One of the colours with a blush of another, and fine speckles."""
    first, other = (colours[i] for i in rng.permutation(len(colours))[:2])
    blush = noise(canvas.size, rng, (cells, cells)) * rng.uniform(0.1, 0.5) + rng.uniform(-0.1, 0.3)
    speckles = noise(canvas.size, rng, (60, 60)) * 0.06
    return mix(first, other, blush + speckles)


def _apple(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    dip, waist = rng.uniform(0.2, 0.3), rng.uniform(0.04, 0.1)
    body = _polar(
        parts.u,
        parts.v,
        lambda a: (
            1.0
            - dip * _bump(a, np.pi, 0.42)
            - 0.1 * _bump(a, 0, 0.3)
            + waist * (_bump(a, 2.1, 0.7) + _bump(a, -2.1, 0.7))
        ),
    )
    parts.shadow(body)
    reds = [hsv(0.98, 0.85, 0.75), hsv(0.23, 0.65, 0.75), hsv(0.13, 0.65, 0.9)]
    skin = _patchy(canvas, rng, reds)
    hollow = np.exp(-((parts.u / 0.3) ** 2 + ((parts.v + 0.72) / 0.16) ** 2))
    parts.body(body, skin * (1 - 0.55 * hollow[..., None]), 0.9)
    lean = rng.uniform(-0.2, 0.2)
    parts.body(
        stroke(parts.u, parts.v, np.array([[0, -0.7], [lean * 0.4, -0.95], [lean, -1.2]]), 0.05),
        _STEM,
        0.05,
        0,
    )
    if rng.random() < 0.5:
        parts.leaf((lean * 0.4, -0.92), rng.uniform(-0.5, 0.1), 0.3, 0.13)
    return parts.mask


def _pear(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    neck = rng.uniform(0.38, 0.48)
    low = np.hypot(parts.u, parts.v - 0.3) - rng.uniform(0.78, 0.86)
    high = np.hypot(parts.u - rng.uniform(-0.08, 0.08), parts.v + 0.72) - neck
    k = 0.45  # how softly the two bodies join
    h = np.clip(0.5 + 0.5 * (high - low) / k, 0, 1)
    body = high * (1 - h) + low * h - k * h * (1 - h)
    parts.shadow(body)
    greens = [hsv(0.2, 0.65, 0.78), hsv(0.14, 0.7, 0.85), hsv(0.06, 0.65, 0.6), hsv(0.99, 0.6, 0.7)]
    parts.body(body, _patchy(canvas, rng, greens), 0.7, 0.2)
    lean = rng.uniform(-0.25, 0.25)
    stem = np.array([[0, -1.1], [lean * 0.5, -1.3], [lean, -1.48]])
    parts.body(stroke(parts.u, parts.v, stem, 0.05), _STEM, 0.05, 0)
    if rng.random() < 0.4:
        parts.leaf((lean * 0.5, -1.28), rng.uniform(-0.6, 0.2), 0.3, 0.12)
    return parts.mask


def _orange(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    body = ellipse(parts.u, parts.v, 1.0, rng.uniform(0.93, 1.0))
    parts.shadow(body)
    peel = _patchy(
        canvas, rng, [hsv(0.075, 0.9, 0.95), hsv(0.12, 0.85, 0.92), hsv(0.2, 0.7, 0.7)], 1
    )
    pores = noise(canvas.size, rng, (canvas.size // 4, canvas.size // 4))
    parts.body(body, peel * (1 + 0.16 * np.minimum(pores, 0.2))[..., None], 1.0, 0.25)
    x, y = parts.u - rng.uniform(-0.4, 0.4), parts.v + rng.uniform(0.2, 0.6)
    star = np.hypot(x, y) - 0.1 - 0.05 * np.cos(5 * np.arctan2(y, x))
    parts.body(star, hsv(0.25, 0.5, 0.4), 0.1, 0)
    return parts.mask


def _lemon(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    long, nub = rng.uniform(1.08, 1.22), rng.uniform(0.18, 0.28)
    body = _polar(
        parts.u,
        parts.v,
        lambda a: (
            0.78 * long / np.sqrt((0.78 * np.sin(a)) ** 2 + (long * np.cos(a)) ** 2)
            + nub * _bump(a, np.pi / 2, 0.2)
            + 0.6 * nub * _bump(a, -np.pi / 2, 0.16)
        ),
    )
    parts.shadow(body)
    peels = [hsv(0.15, 0.8, 0.95), hsv(0.13, 0.7, 0.9), hsv(0.24, 0.7, 0.65)]
    pores = noise(canvas.size, rng, (canvas.size // 4, canvas.size // 4))
    skin = _patchy(canvas, rng, peels, 1) * (1 + 0.1 * np.minimum(pores, 0.2))[..., None]
    parts.body(body, skin, 0.75, 0.3)
    return parts.mask


def _banana(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    radius, half = rng.uniform(1.25, 1.6), rng.uniform(0.75, 0.95)
    x, y = parts.u, parts.v + radius * 0.8
    angle = np.arctan2(x, y)  # 0 in the middle of the bow, which hangs down
    t = np.clip(angle / half, -1, 1)
    thick = 0.3 * np.sqrt(np.clip(1 - np.abs(t) ** 3.2, 0, 1)) + 0.045
    end = np.clip(angle, -half, half)
    arc = np.hypot(x - radius * np.sin(end), y - radius * np.cos(end))
    body = arc - thick
    parts.shadow(body)
    peels = [hsv(0.15, 0.8, 0.93), hsv(0.14, 0.75, 0.85), hsv(0.21, 0.65, 0.75)]
    skin = _patchy(canvas, rng, peels)
    ridge = np.exp(-(((np.hypot(x, y) - radius + 0.07) / 0.04) ** 2))
    spots = noise(canvas.size, rng, (28, 28)) > rng.uniform(0.6, 1.2)
    skin = skin * (1 - 0.22 * ridge - 0.35 * spots)[..., None]
    skin = mix(skin, hsv(0.09, 0.6, 0.28), (np.abs(t) - 0.9) * 10)
    parts.body(body, skin, 0.3, 0.15)
    tip = np.array([[radius * np.sin(half), radius * np.cos(half)]])
    way = np.array([[np.cos(half), -np.sin(half)]]) * 0.22
    stem = np.concatenate([tip, tip + way])
    parts.body(stroke(x, y, stem, 0.055), hsv(0.17, 0.6, 0.5), 0.06, 0)
    return parts.mask


def _strawberry(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    tip = rng.uniform(0.3, 0.45)
    body = _polar(
        parts.u,
        parts.v,
        lambda a: (
            0.86
            + tip * _bump(a, 0, 0.5)
            + 0.1 * (_bump(a, 2.3, 0.5) + _bump(a, -2.3, 0.5))
            - 0.12 * _bump(a, np.pi, 0.5)
        ),
    )
    parts.shadow(body)
    flesh = _patchy(canvas, rng, [hsv(0.98, 0.9, 0.82), hsv(0.01, 0.8, 0.9), hsv(0.02, 0.45, 0.95)])
    # Seeds on a hexagonal lattice that is denser where the surface turns away.
    gap = rng.uniform(0.22, 0.27)
    row = np.round(parts.v / gap)
    across = parts.u / gap / 1.1 + 0.5 * (row % 2)
    x = (across - np.round(across)) * gap * 1.1
    y = parts.v - row * gap
    seed = np.clip(1.6 - np.hypot(x / 0.03, y / 0.05), 0, 1)
    pit = np.exp(-((x / 0.06) ** 2 + (y / 0.08) ** 2))
    skin = mix(flesh * (1 - 0.3 * pit[..., None]), hsv(0.14, 0.6, 0.9), seed)
    parts.body(body, skin, 0.75, 0.4)
    for angle in np.linspace(-2.9, -0.25, 5) + rng.uniform(-0.12, 0.12, 5):
        parts.leaf((0.0, -0.72), angle + (0.9 if angle > -1.57 else -0.9) * 0.55, 0.3, 0.11)
    stem = np.array([[0, -0.75], [rng.uniform(-0.15, 0.15), -1.1]])
    parts.body(stroke(parts.u, parts.v, stem, 0.045), hsv(0.27, 0.6, 0.45), 0.05, 0)
    return parts.mask


def _grapes(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    rows = [4, 4, 3, 2, 1]
    centres = [
        (
            (i - (n - 1) / 2) * 0.46 + rng.uniform(-0.07, 0.07),
            -0.72 + 0.38 * r + rng.uniform(-0.06, 0.06),
        )
        for r, n in enumerate(rows)
        for i in range(n)
    ]
    radius = rng.uniform(0.25, 0.29)
    whole = np.full_like(parts.u, np.inf)
    for x, y in centres:
        whole = np.minimum(whole, np.hypot(parts.u - x, parts.v - y) - radius)
    parts.shadow(whole)
    stem = np.array([[0, -0.6], [rng.uniform(-0.1, 0.1), -1.0], [rng.uniform(-0.3, 0.3), -1.3]])
    parts.body(stroke(parts.u, parts.v, stem, 0.05), _STEM, 0.05, 0)
    hue, saturation, value = [(0.8, 0.6, 0.45), (0.22, 0.55, 0.75), (0.97, 0.65, 0.55)][
        rng.integers(3)
    ]
    for i in rng.permutation(len(centres)):
        x, y = centres[i]
        colour = hsv(hue + rng.uniform(-0.02, 0.02), saturation, value * rng.uniform(0.8, 1.15))
        grape = np.hypot(parts.u - x, parts.v - y) - radius
        parts.body(
            grape + 0.0,
            colour * (1 - 0.25 * np.exp(-((grape / 0.05) ** 2)))[..., None],
            radius,
            0.5,
        )
    if rng.random() < 0.5:
        parts.leaf((0.0, -0.95), rng.uniform(-0.4, 0.4), 0.34, 0.18)
    return parts.mask


def _cherry(canvas: Canvas, place: Placement, rng: Rng) -> Array:
    parts = _Parts(canvas, place)
    top = (rng.uniform(-0.2, 0.2), -1.15)
    radius = rng.uniform(0.46, 0.54)
    cherries = [(-0.55, 0.35 + rng.uniform(-0.15, 0.15)), (0.55, 0.35 + rng.uniform(-0.15, 0.15))]
    bodies = [np.hypot(parts.u - x, parts.v - y) - radius for x, y in cherries]
    parts.shadow(np.minimum(*bodies))
    skins = [hsv(0.97, 0.9, 0.6), hsv(0.99, 0.85, 0.4), hsv(0.02, 0.7, 0.85), hsv(0.11, 0.6, 0.9)]
    skin = _patchy(canvas, rng, skins)
    for body, (x, y) in zip(bodies, cherries, strict=True):
        dimple = np.exp(-(((parts.u - x) / 0.16) ** 2 + ((parts.v - y + radius * 0.75) / 0.1) ** 2))
        parts.body(body, skin * (1 - 0.5 * dimple[..., None]), radius, 0.6)
    for x, y in cherries:
        start = np.array([x, y - radius * 0.75])
        t = np.linspace(0, 1, 7)[:, None]
        middle = np.array([x * 0.75, -0.55])
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * np.array(top)
        parts.body(stroke(parts.u, parts.v, curve, 0.04), hsv(0.24, 0.6, 0.45), 0.05, 0)
    if rng.random() < 0.6:
        parts.leaf(top, rng.uniform(-0.3, 0.5), 0.32, 0.14)
    return parts.mask


_PAINTERS: dict[str, Painter] = {
    "apple": _apple,
    "banana": _banana,
    "cherry": _cherry,
    "grapes": _grapes,
    "lemon": _lemon,
    "orange": _orange,
    "pear": _pear,
    "strawberry": _strawberry,
}
FRUITS = tuple(_PAINTERS)
"""Names of the classes that can be drawn."""
