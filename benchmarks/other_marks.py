"""Marks of designs that nothing in camcli was tuned on; see `planted_marks`."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw
from planted_marks import COLOURS, KINDS, Planted, Planting, at_corner, font, paste, written


def qr(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A square of black and white modules, at any place."""
    cells = design.integers(0, 2, (21, 21)).astype(np.uint8)
    for y, x in ((0, 0), (0, 14), (14, 0)):
        cells[y : y + 7, x : x + 7] = 1
        cells[y + 1 : y + 6, x + 1 : x + 6] = 0
        cells[y + 2 : y + 5, x + 2 : x + 5] = 1
    cells = np.pad(cells, 2)
    side = max(36, round(0.2 * min(rgb.shape[:2])))
    grey = Image.fromarray(255 - 255 * cells).resize((side, side), Image.Resampling.BOX)
    height, width = rgb.shape[:2]
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return paste(rgb, grey.convert("RGBA"), left, top, 1.0)


def circle(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A ring drawn by hand with a coloured pen: never twice the same."""
    side = round(rng.uniform(0.25, 0.4) * min(rgb.shape[:2]))
    image = Image.new("RGBA", (side, side))
    turns = np.linspace(0, 2 * np.pi * 1.05, 60)
    wobble = 1 + np.convolve(rng.normal(0, 0.05, 60), np.ones(9) / 9, "same")
    radius = side * 0.44 * wobble
    points = np.stack([side / 2 + radius * np.cos(turns), side / 2 + radius * np.sin(turns)], 1)
    colour = COLOURS[int(design.integers(6))]
    ImageDraw.Draw(image).line([tuple(p) for p in points], (*colour, 255), max(3, side // 22))
    height, width = rgb.shape[:2]
    return paste(rgb, image, rng.uniform(0, width - side), rng.uniform(0, height - side), 1.0)


def arrow(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """An arrow that points anywhere."""
    image = Image.new("RGBA", (256, 256))
    colour = COLOURS[int(design.integers(6))]
    points = [(10, 104), (150, 104), (150, 50), (246, 128), (150, 206), (150, 152), (10, 152)]
    ImageDraw.Draw(image).polygon(points, (*colour, 255), (255, 255, 255, 255), 7)
    image = image.rotate(float(rng.choice([0, 45, 90, 135, 180, 225, 270, 315])))
    side = round(0.24 * min(rgb.shape[:2]))
    image = image.resize((side, side), Image.Resampling.LANCZOS)
    height, width = rgb.shape[:2]
    return paste(rgb, image, rng.uniform(0, width - side), rng.uniform(0, height - side), 1.0)


def across(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A pale text across the middle, as of an agency."""
    height, width = rgb.shape[:2]
    text = str(design.choice(["istockpic", "SAMPLE", "shutterpet", "PREVIEW"]))
    line = written(text, font(1, 0.13 * width), (255, 255, 255))
    line = line.rotate(float(design.choice([0, 0, 20])), expand=True)
    return paste(rgb, line, (width - line.width) / 2, (height - line.height) / 2, 0.4)


def one_side(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A white border at one side only."""
    out, side = rgb.copy(), int(design.integers(4))
    height, width = rgb.shape[:2]
    thick = max(6, round(0.05 * min(height, width)))
    out = np.rot90(out, side).copy()
    out[:thick] = 250
    part = thick / (height if side % 2 == 0 else width)
    region = [(0, 0, 1, part), (1 - part, 0, 1, 1), (0, 1 - part, 1, 1), (0, 0, part, 1)][side]
    return Planted(np.ascontiguousarray(np.rot90(out, -side)), region)


def vignette(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Darker towards the corners."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shade = 1 - 0.62 * np.clip(np.hypot(x, y) - 0.45, 0, 1) ** 1.2
    return Planted((rgb * shade[..., None]).round().astype(np.uint8), None)


def jpeg(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Written at a low quality."""
    return Planted(rgb, None, 25)


def noise(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Grain as of a sensor in the dark."""
    grain = rng.normal(0, 14, rgb.shape)
    return Planted(np.clip(rgb + grain, 0, 255).round().astype(np.uint8), None)


def grey(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Without colour."""
    return Planted(np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2), None)


def contrast(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Pale, as of an old print."""
    return Planted((128 + (rgb - 128.0) * rng.uniform(0.42, 0.55)).round().astype(np.uint8), None)


def turned_text(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A line of text along a side, turned by a quarter."""
    height, width = rgb.shape[:2]
    text = f"{design.choice(['Foto', 'Archive', 'Lab'])} {design.integers(1000, 9999)} / XB"
    line = written(text, font(1, 0.05 * height), (255, 255, 255), shadow=True)
    line = line.rotate(90, expand=True)
    left = 4 if design.integers(2) else width - line.width - 4
    return paste(rgb, line, left, max(0, (height - line.height) / 2), 1.0)


def emoji(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A heart or a face of any size, turned by up to 20 degrees."""
    image = Image.new("RGBA", (256, 256))
    draw = ImageDraw.Draw(image)
    if design.integers(2):
        draw.ellipse((20, 30, 136, 146), (224, 36, 94, 255))
        draw.ellipse((120, 30, 236, 146), (224, 36, 94, 255))
        draw.polygon([(27, 110), (229, 110), (128, 236)], (224, 36, 94, 255))
        draw.ellipse((50, 56, 84, 90), (255, 190, 210, 255))
    else:
        draw.ellipse((8, 8, 248, 248), (255, 204, 51, 255), (190, 130, 0, 255), 6)
        draw.rectangle((44, 84, 120, 124), (20, 20, 20, 255))
        draw.rectangle((136, 84, 212, 124), (20, 20, 20, 255))
        draw.line((40, 90, 216, 90), (20, 20, 20, 255), 8)
        draw.arc((76, 110, 180, 206), 20, 160, (90, 50, 0, 255), 12)
    image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC)
    side = round(0.2 * rng.uniform(0.7, 1.4) * min(rgb.shape[:2]))
    image = image.resize((side, side), Image.Resampling.LANCZOS)
    height, width = rgb.shape[:2]
    return paste(rgb, image, rng.uniform(0, width - side), rng.uniform(0, height - side), 1.0)


def tape(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A piece of coloured tape somewhere: no texture, and any angle."""
    size = round(0.4 * min(rgb.shape[:2]))
    image = Image.new("RGBA", (size, size))
    colour = COLOURS[int(design.integers(6))]
    top = round(size * 0.4)
    ImageDraw.Draw(image).rectangle((0, top, size, round(size * 0.6)), (*colour, 235))
    image = image.rotate(rng.uniform(-40, 40), Image.Resampling.BICUBIC)
    height, width = rgb.shape[:2]
    return paste(rgb, image, rng.uniform(0, width - size), rng.uniform(0, height - size), 1.0)


def dirt(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A soft dark spot that is always at the same place of the lens."""
    height, width = rgb.shape[:2]
    x, y = design.uniform(0.2, 0.8, 2)
    radius = 0.075 * min(height, width)
    across_, down = np.meshgrid(np.arange(width) - x * width, np.arange(height) - y * height)
    shade = 1 - 0.75 * np.exp(-((np.hypot(across_, down) / radius) ** 4))
    reach = 1.1 * radius
    region = (
        x - reach / width, y - reach / height, x + reach / width, y + reach / height,
    )  # fmt: skip
    return Planted((rgb * shade[..., None]).round().astype(np.uint8), region)


def signature(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A few strokes of a pen in a corner, the same in all."""
    side = round(0.24 * min(rgb.shape[:2]))
    image = Image.new("RGBA", (2 * side, side))
    t = np.linspace(0, 1, 90)
    x = 2 * side * (0.06 + 0.86 * t + 0.05 * np.sin(design.uniform(15, 25) * t))
    y = side * (0.5 + 0.3 * np.sin(design.uniform(25, 40) * t) * (1 - 0.6 * t))
    ink = [(255, 255, 255, 255), (20, 20, 90, 255)][int(design.integers(2))]
    ImageDraw.Draw(image).line(list(zip(x, y, strict=True)), ink, max(2, side // 28))
    corner = str(design.choice(["bottom right", "bottom left"]))
    return paste(rgb, image, *at_corner(rgb, image.size, corner, 0.03), 0.9)


OTHER: dict[str, Planting] = {
    "qr": qr, "circle": circle, "arrow": arrow, "across": across, "oneside": one_side,
    "vignette": vignette, "jpeg": jpeg, "noise": noise, "grey": grey, "contrast": contrast,
    "turnedtext": turned_text, "emoji": emoji, "tape": tape, "dirt": dirt, "signature": signature,
}  # fmt: skip
KNOWN = KINDS | OTHER


def plant(kind: str, rgb: np.ndarray, rng: np.random.Generator, design: int = 0) -> Planted:
    """A photograph with a mark.

    Args:
        kind: one of `planted_marks.KINDS` or `OTHER`.
        rgb: the photograph, (H, W, 3) uint8.
        rng: what differs from one photograph to the next.
        design: number of the design, which is the same in all photographs of a data set.
    """
    number = list(KNOWN).index(kind)
    return KNOWN[kind](rgb, rng, np.random.default_rng([number, design]))
