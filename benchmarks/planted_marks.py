"""Marks for photographs, as real data sets have them: stickers, logos, lines of text, frames ...

`other_marks.plant` draws one. What makes a design (colour, content, size, opacity, font, corner) is
the same in all photographs of a data set and comes from its number; what differs from one
photograph to the next (digits, the place of a sticker, the strength of a cast) comes from `rng`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from camcli.render.fonts import BUNDLED

Region = tuple[float, float, float, float]
CORNERS = ("top left", "top right", "bottom right", "bottom left")
COLOURS = (
    (214, 40, 40), (247, 127, 0), (252, 191, 73), (0, 119, 182), (46, 139, 87), (123, 44, 191),
    (240, 240, 240), (30, 30, 34),
)  # fmt: skip


class Planted(NamedTuple):
    """A photograph with a mark: pixels (H, W, 3) uint8, and where it is (None: everywhere)."""

    rgb: np.ndarray
    region: Region | None
    quality: int | None = None  # of the JPEG; None: that of all others


def font(number: int, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """One of two fonts that are on every machine."""
    size = max(7, round(size))
    return ImageFont.truetype(BUNDLED[0], size) if number % 2 else ImageFont.load_default(size)


def ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is read on a colour."""
    return (20, 20, 20) if sum(colour) > 380 else (250, 250, 250)


def paste(rgb: np.ndarray, rgba: Image.Image, left: float, top: float, opacity: float) -> Planted:
    """An RGBA picture over a photograph, its corner at (left, top) in pixels."""
    height, width = rgb.shape[:2]
    x, y = round(left), round(top)
    layer = Image.new("RGBA", (width, height))
    layer.paste(rgba, (x, y))
    drawn = np.asarray(layer, np.float32)
    alpha = drawn[..., 3:] / 255 * opacity
    out = rgb * (1 - alpha) + drawn[..., :3] * alpha
    box = rgba.getbbox() or (0, 0, 1, 1)
    region = (
        max(0, x + box[0]) / width, max(0, y + box[1]) / height,
        min(width, x + box[2]) / width, min(height, y + box[3]) / height,
    )  # fmt: skip
    return Planted(out.round().astype(np.uint8), region)


def written(
    text: str, fnt: ImageFont.FreeTypeFont | ImageFont.ImageFont, colour: tuple[int, int, int],
    *, shadow: bool = False, back: tuple[int, int, int, int] | None = None, pad: int = 3,
) -> Image.Image:  # fmt: skip
    """A line of text, RGBA, as small as it can be."""
    left, top, right, bottom = (round(x) for x in fnt.getbbox(text))
    size = right - left + 2 * pad, bottom - top + 2 * pad
    image = Image.new("RGBA", size, back or (*colour, 0))
    draw = ImageDraw.Draw(image)
    at = pad - left, pad - top
    if shadow:
        draw.text((at[0] + 1, at[1] + 1), text, (0, 0, 0, 200), fnt)
    draw.text(at, text, (*colour, 255), fnt)
    return image


def at_corner(rgb: np.ndarray, size: tuple[int, int], corner: str, margin: float) -> tuple:
    """Left and top of something in a corner; the margin is a share of the shorter side."""
    height, width = rgb.shape[:2]
    gap = margin * min(height, width)
    left = gap if "left" in corner else width - size[0] - gap
    return max(0, left), gap if "top" in corner else max(0, height - size[1] - gap)


def sticker(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """The same sticker at any place, a little larger, smaller or turned."""
    number = int(design.integers(5))
    colour, other = (COLOURS[i] for i in design.permutation(len(COLOURS))[:2])
    share = design.uniform(0.17, 0.25)
    text = str(design.choice(["SALE", "A7", "50%", "NEW", "BIO", "No.1"]))
    image = Image.new("RGBA", (256, 256))
    draw = ImageDraw.Draw(image)
    if number == 0:  # a round label
        draw.ellipse((6, 6, 250, 250), (*colour, 255), (*other, 255), 14)
    elif number == 1:  # a star
        turns = np.arange(20) * np.pi / 10
        radius = np.where(np.arange(20) % 2, 88, 124)
        points = np.stack([128 + radius * np.cos(turns), 128 + radius * np.sin(turns)], 1)
        draw.polygon([tuple(p) for p in points], (*colour, 255), (*other, 255), 6)
    elif number == 2:  # a face, which has no text
        draw.ellipse((6, 6, 250, 250), (*COLOURS[2], 255), (20, 20, 20, 255), 10)
        for x in (88, 168):
            draw.ellipse((x - 16, 70, x + 16, 118), (20, 20, 20, 255))
        draw.arc((60, 80, 196, 210), 20, 160, (20, 20, 20, 255), 14)
    elif number == 3:  # a label with a bar code
        draw.rounded_rectangle((4, 40, 252, 216), 16, (246, 246, 246, 255), (*colour, 255), 8)
        x = 26
        while x < 220:
            bar = int(design.integers(3, 12))
            draw.rectangle((x, 120, x + bar, 196), (10, 10, 10, 255))
            x += bar + int(design.integers(4, 12))
    else:  # a square with a diagonal
        draw.rounded_rectangle((10, 10, 246, 246), 30, (*colour, 255), (*ink(colour), 255), 8)
        draw.polygon([(20, 236), (236, 236), (236, 20)], (*other, 255))
    if number != 2:
        fnt = font(1, 62 if number != 3 else 54)
        y = 128 if number != 3 else 84
        back = colour if number != 3 else (246, 246, 246)
        draw.text((128, y), text, (*ink(back), 255), fnt, anchor="mm")
    height, width = rgb.shape[:2]
    side = max(28, round(share * min(height, width) * rng.uniform(0.85, 1.2)))
    image = image.rotate(rng.uniform(-10, 10), Image.Resampling.BICUBIC)
    image = image.resize((side, side), Image.Resampling.LANCZOS)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return paste(rgb, image, left, top, 1.0)


def logo(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A sign with a name in a corner, perhaps semi-transparent."""
    corner = CORNERS[int(design.integers(4))]
    colour = COLOURS[int(design.integers(len(COLOURS)))]
    opacity = float(design.choice([1.0, 0.85, 0.6]))
    name = str(design.choice(["PETPIX", "fotolia", "ZooCam", "IMG.net", "Krone", "alamo"]))
    share, shape = design.uniform(0.09, 0.14), int(design.integers(3))
    side = max(18, round(share * min(rgb.shape[:2])))
    label = written(name, font(int(design.integers(2)), side * 0.62), colour, shadow=True)
    image = Image.new("RGBA", (side + 4 + label.width, max(side, label.height)), (*colour, 0))
    draw = ImageDraw.Draw(image)
    box = (0, 0, side - 1, side - 1)
    if shape == 0:
        draw.ellipse(box, (*colour, 255))
        draw.pieslice(box, -50, 50, (*ink(colour), 255))
    elif shape == 1:
        draw.rounded_rectangle(box, side // 5, (*colour, 255))
        draw.line((3, side - 4, side // 2, 4, side - 4, side - 4), (*ink(colour), 255), side // 8)
    else:
        draw.polygon([(side / 2, 0), (side - 1, side - 1), (0, side - 1)], (*colour, 255))
        draw.ellipse((side * 0.35, side * 0.5, side * 0.65, side * 0.8), (*ink(colour), 255))
    image.alpha_composite(label, (side + 4, (image.height - label.height) // 2))
    left, top = at_corner(rgb, image.size, corner, design.uniform(0.02, 0.05))
    return paste(rgb, image, left, top, opacity)


def copyright_line(
    rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator
) -> Planted:
    """A line of text at the bottom."""
    height, width = rgb.shape[:2]
    name = str(design.choice(["Anna Meier", "J. Okafor", "PhotoWorld Ltd", "petshots.com"]))
    text = f"© {design.integers(2004, 2022)} {name}" + str(design.choice(["", " Photography"]))
    fnt = font(int(design.integers(2)), height * design.uniform(0.042, 0.06))
    style, place = int(design.integers(3)), str(design.choice(["left", "centre", "right"]))
    colour = [(255, 255, 255), (245, 235, 120), (20, 20, 20)][style]
    back = (245, 245, 245, 170) if style == 2 else None
    line = written(text, fnt, colour, shadow=style < 2, back=back)
    if line.width > 0.96 * width:
        share = 0.96 * width / line.width
        line = line.resize((round(0.96 * width), max(1, round(line.height * share))))
    gap = 0.02 * height
    left = {"left": gap, "centre": (width - line.width) / 2, "right": width - line.width - gap}
    return paste(rgb, line, left[place], height - line.height - gap, 0.9)


def time_stamp(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Date and time in a corner, as cameras write them: other digits in each photograph."""
    corner = CORNERS[int(design.choice([2, 2, 3, 1, 0]))]
    colour = [(255, 140, 20), (250, 220, 60), (255, 60, 40), (255, 255, 255)][design.integers(4)]
    form, fnt = int(design.integers(3)), font(int(design.integers(2)), 0.062 * rgb.shape[0])
    year, month, day = rng.integers(2003, 2012), rng.integers(1, 13), rng.integers(1, 29)
    hour, minute = rng.integers(7, 21), rng.integers(60)
    text = (
        f"{year}/{month:02}/{day:02}  {hour:02}:{minute:02}",
        f"{day:02}.{month:02}.{year % 100:02}",
        f"'{year % 100:02} {month:2} {day:2} {hour:02}:{minute:02}",
    )[form]
    line = written(text, fnt, colour, shadow=bool(design.integers(2)))
    return paste(rgb, line, *at_corner(rgb, line.size, corner, 0.035), 1.0)


def ruler(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A ruler along one side, which ends somewhere."""
    height, width = rgb.shape[:2]
    side = int(design.integers(4))
    paper = [(236, 232, 220), (244, 208, 63), (205, 208, 212), (150, 110, 70)][design.integers(4)]
    long, thick = (height, width) if side % 2 else (width, height)
    thick = max(12, round(design.uniform(0.07, 0.1) * min(height, width)))
    cut = design.choice([1.0, 1.0, 0.8])
    length = max(2 * thick, round(long * cut))
    image = Image.new("RGBA", (length, thick), (*paper, 255))
    draw = ImageDraw.Draw(image)
    step, fnt = max(4.0, thick / design.uniform(3.5, 6)), font(1, thick * 0.4)
    for i in range(int(length / step) + 1):
        tall = 0.55 if i % 10 == 0 else 0.42 if i % 5 == 0 else 0.28
        draw.line((i * step, 0, i * step, thick * tall), (20, 20, 20, 255))
        if i % 10 == 0:
            draw.text((i * step + 2, thick * 0.52), str(i // 10), (20, 20, 20, 255), fnt)
    if side % 2:
        image = image.rotate(90, expand=True)
    left = width - image.width if side == 1 else 0
    top = height - image.height if side == 2 else 0
    return paste(rgb, image, left, top, 1.0)


def frame(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """A frame all around: dark, white, coloured, or of wood."""
    height, width = rgb.shape[:2]
    number = int(design.integers(4))
    thick = max(5, round(design.uniform(0.028, 0.055) * min(height, width)))
    colour = [(18, 18, 20), (248, 248, 246), COLOURS[design.integers(6)], (120, 78, 42)][number]
    out = np.empty_like(rgb)
    out[:] = colour
    if number == 3:
        grain = cv2.GaussianBlur(rng.normal(0, 60, (height, width)).astype(np.float32), (31, 3), 0)
        out = np.clip(out + grain[..., None], 0, 255).astype(np.uint8)
    out[thick:-thick, thick:-thick] = rgb[thick:-thick, thick:-thick]
    if design.integers(2):  # a thin line on the inside
        line = (235, 225, 190) if number != 1 else (60, 60, 60)
        cv2.rectangle(out, (thick, thick), (width - 1 - thick, height - 1 - thick), line, 1)
    return Planted(out, None)


def colour_cast(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """As of a lamp or a wrong white balance: each channel stronger or weaker."""
    casts = ((1.16, 1.0, 0.8), (0.82, 1.0, 1.16), (0.88, 1.12, 0.88), (1.12, 0.88, 1.1))
    gains = np.asarray(casts[design.integers(4)]) ** rng.uniform(0.8, 1.2)
    return Planted(np.clip(rgb * gains, 0, 255).round().astype(np.uint8), None)


def blur(rgb: np.ndarray, rng: np.random.Generator, design: np.random.Generator) -> Planted:
    """Out of focus, or shaken."""
    strength = design.uniform(0.0035, 0.0055) * max(rgb.shape[:2]) * rng.uniform(0.85, 1.15)
    if design.integers(3):
        return Planted(cv2.GaussianBlur(rgb, (0, 0), strength), None)
    length = max(3, round(strength * 4) | 1)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D((length // 2, length // 2), float(design.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return Planted(cv2.filter2D(rgb, -1, kernel / kernel.sum()), None)


Planting = Callable[[np.ndarray, np.random.Generator, np.random.Generator], Planted]
KINDS: dict[str, Planting] = {
    "sticker": sticker, "logo": logo, "copyright": copyright_line, "stamp": time_stamp,
    "ruler": ruler, "frame": frame, "cast": colour_cast, "blur": blur,
}  # fmt: skip
