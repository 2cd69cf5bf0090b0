"""How a page draws maps: its colours, and the numbers that they stand for."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from camcli.cam.method_facts import TRAINED
from camcli.render.colormaps import SIGNED, get_colormap, signed_colormap
from camcli.render.ranges import COLORMAPS
from camcli.render.report.rows.heat import PageMap
from camcli.render.report.rows.image_rows import ImageRow, RunData, Side

FILES = "jet"
"""What the pictures of a run have unless told otherwise, as the papers do."""
PAGE = "inferno"
"""What a page has then: lighter wherever it is hotter, also for the colour-blind and in print."""

# What a map of these methods adds up is not the explained score itself.
_UNITS = {
    "eigencam": "activation",
    "kpcacam": "activation",
    "fem": "activation",
    "random": "activation x chance",
    TRAINED.name: "probability above its threshold",
    "ablationcam": "activation x share of the score",
    "scorecam": "activation x probability",
    "sscam": "activation x probability",
    "iscam": "activation x probability",
    "scorecam-softmax": "activation x weight",
    "attnlrp": "relevance",
    "fullgrad": "of FullGrad's own",
    "legrad": "of the score, by share of attention",
    "chefer": "of relevance",
    "rollout": "of attention",
}
HARDLY_BELIEVED = 0.2
"""Below this probability a class gets paler colours, unless the reader wants its map's own."""
# Of so many maps the highest hundredth is left out of the shared scale: one odd photograph would
# make all others look cold.
_MANY = 100


def page_look(run: RunData, signed: bool) -> dict[str, Any]:
    """The colour maps that a reader can choose from, and what is chosen at first.

    Args:
        run: its pictures may have been told to have certain colours; then the page has them, too.
        signed: evidence of either sign is shown.
    """
    style = run.setting("style")
    style = style if isinstance(style, Mapping) else {}
    name, alpha = style.get("colormap"), style.get("alpha")
    files = name if isinstance(name, str) and name in COLORMAPS else FILES
    return {
        "signed": signed,
        # Of differences: on its own scale what is usual would be as hot as what is not.
        "firstScale": "run" if isinstance(run.setting("against"), Mapping) else "own",
        # Red, green, blue and opacity of each of 256 levels.
        "colormaps": {each: _table(get_colormap(each)) for each in (PAGE, *_others())},
        "signedColormaps": {each: _table(*signed_colormap(each)) for each in SIGNED},
        "colours": PAGE if files == FILES else files,
        "fileColours": files,
        "fileSigned": list(SIGNED)[-1],
        "hardlyBelieved": round(100_000 * HARDLY_BELIEVED),
        "alpha": alpha if isinstance(alpha, int | float) and 0 <= alpha <= 1 else 0.5,
    }


def _others() -> list[str]:
    """The even ones first."""
    even = [name for name in COLORMAPS if name not in (PAGE, FILES, "turbo")]
    return [*even, "turbo", FILES]


def _table(colours: np.ndarray, weight: np.ndarray | None = None) -> str:
    opacity = np.full(256, 255, np.uint8) if weight is None else np.rint(255 * weight)
    table = np.concatenate([colours, opacity.astype(np.uint8)[:, None]], axis=1)
    return base64.b64encode(table.tobytes()).decode()


def shared_scale(
    rows: Sequence[ImageRow],
    side: int = 0,
    of: Callable[[Side], PageMap | None] = lambda it: it.maps[0] if it.maps else None,
) -> dict[str, float | int] | None:
    """How high the maps of one side go, in the method's own numbers.

    Args:
        rows: of the page.
        side: which of their sides.
        of: which of its maps.

    Returns:
        ``top``, where one scale for all of them ends; ``least``, ``median`` and ``most`` of the
        single maps' highest values; ``beyond``, how many are above ``top``; and ``weak``, how many
        explain a class that is hardly believed. None where no map has a number.
    """
    found = (of(row.sides[side]) for row in rows)
    maps = [one for one in found if one and one.drawn and one.high > 0]
    highs = np.array([one.high for one in maps], np.float64)
    if not highs.size:
        return None
    top = _short(float(np.quantile(highs, 0.99) if highs.size >= _MANY else highs.max()))
    return {
        "top": top,
        "least": _short(float(highs.min())),
        "median": _short(float(np.median(highs))),
        "most": _short(float(highs.max())),
        "beyond": int((highs > 1.001 * top).sum()),
        "weak": sum(one.prob is not None and one.prob < HARDLY_BELIEVED for one in maps),
    }


# What decides how much a cell of a map counts.
_SAME = ("method", "layer", "score", "output", "smooth", "fuse", "preprocess")


def one_scale(
    runs: tuple[RunData, RunData], scales: tuple[dict[str, Any] | None, dict[str, Any] | None]
) -> None:
    """Let two runs whose maps count the same share a scale; others have one each.

    Args:
        runs: both.
        scales: their `shared_scale`, changed in place.
    """
    one, two = scales
    if one and two and all(runs[0].setting(name) == runs[1].setting(name) for name in _SAME):
        one["top"] = two["top"] = max(one["top"], two["top"])


def unit(run: RunData) -> str:
    """What the numbers of a run's maps count."""
    method = run.setting("method")
    if isinstance(method, str) and method in _UNITS:
        return _UNITS[method]
    if run.setting("output") == "none":
        return "in the value's own unit"
    probability = run.setting("score") == "probability" or run.setting("output") == "probabilities"
    return "probability" if probability else "logits"


def _short(value: float) -> float:
    return float(f"{value:.3g}")
