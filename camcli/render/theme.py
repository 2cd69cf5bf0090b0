"""How everything looks: the colours and the type of the pages, the pictures and the charts.

Quiet paper, white cards, and the pictures speak. Right is bluish green and wrong is vermilion,
told apart by the colour-blind too, and each comes with a sign. Every text colour has a contrast
of 4.5 or more on paper, card and mat (WCAG 2.1, 1.4.3). Pages can be dark; pictures and charts,
which are made to be sent around and printed, are always light.
"""

from __future__ import annotations

from collections.abc import Mapping

Colour = tuple[int, int, int]

LIGHT = {
    "paper": "#f6f6f8",  # behind everything
    "card": "#ffffff",  # what belongs together
    "mat": "#e8e9ed",  # behind a picture that does not fill its frame
    "line": "#d9dbe2",
    "text": "#16181d",
    "quiet": "#565c68",
    "link": "#1f4fbf",
    "right": "#007556",
    "wrong": "#b83800",
    "neutral": "#6b7280",  # bars and dots that are neither
    "other": "#b27700",  # the second of two curves; the first has the colour of links
    "shadow": "0 1px 2px rgb(20 24 40 / 8%), 0 2px 8px rgb(20 24 40 / 6%)",
}
DARK = {
    "paper": "#111317",
    "card": "#1a1d23",
    "mat": "#0b0c0f",
    "line": "#313640",
    "text": "#e9ebf0",
    "quiet": "#a4abb9",
    "link": "#94b8ff",
    "right": "#3fcf9f",
    "wrong": "#ff9164",
    "neutral": "#8f98a8",
    "other": "#e0ac4a",
    "shadow": "0 1px 2px rgb(0 0 0 / 50%)",
}
FONT = "DejaVu Sans"
"""Of pictures and charts, as it travels with the package; pages take the reader's own first."""
LETTERS = "camcli letters"
"""Family of the letters that a page carries itself, for no others: see `page_fonts`."""
# What a page carries comes first: behind a font of the machine, Chromium goes on to draw boxes
# where it drew them while that was loading.
_PAGE_FONTS = f'"{LETTERS}", system-ui, -apple-system, "Segoe UI", Roboto, "{FONT}", sans-serif'
STRENGTH = 0.45
"""How much colour the strongest cell of a confusion matrix takes: its number stays legible."""


def rgb(name: str) -> Colour:
    """A colour of the light theme, as pictures use it.

    Args:
        name: a key of `LIGHT`.
    """
    value = LIGHT[name]
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


PAPER, CARD, MAT, LINE = rgb("paper"), rgb("card"), rgb("mat"), rgb("line")
TEXT, QUIET, RIGHT, WRONG = rgb("text"), rgb("quiet"), rgb("right"), rgb("wrong")


def css() -> str:
    """The custom properties that the pages' style sheet uses, for light and dark."""
    light = {**LIGHT, "sans": _PAGE_FONTS, "strength-most": f"{STRENGTH:.0%}",
             "hatch": "color-mix(in srgb, var(--wrong) 30%, var(--card))"}  # fmt: skip
    return (
        _rule(":root", light, "light")
        # Paper is light.
        + "@media screen {\n"
        + _rule(':root[data-theme="dark"]', DARK, "dark")
        + "}\n@media screen and (prefers-color-scheme: dark) {\n"
        + _rule(':root:not([data-theme="light"])', DARK, "dark")
        + "}\n"
    )


def _rule(selector: str, values: Mapping[str, str], scheme: str) -> str:
    lines = "".join(f"  --{name}: {value};\n" for name, value in values.items())
    return f"{selector} {{\n{lines}  color-scheme: {scheme};\n}}\n"
