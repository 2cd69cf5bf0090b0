"""A Result as one flat row: stable names, scalars only."""

from __future__ import annotations

import numpy as np

from camcli.result import Heat, Result

# What a failed image has instead of a map: nothing to say in any column.
_NO_HEAT = Heat("", -1, 0.0, np.empty((0, 0), np.float32))


def columns(top: int) -> list[str]:
    """The names of the columns when `top` predictions are listed."""
    names = ["path", "label", "pred", "prob", "correct", "target", "method", "layer"]
    for n in range(2, top + 1):
        names += [f"top{n}", f"top{n}_prob"]
    names += ["heat_x", "heat_y", "box_x0", "box_y0", "box_x1", "box_y1", "heat_area"]
    return [*names, "heat_border", "overlay", "width", "height", "status", "error"]


def row(result: Result, top: int) -> dict[str, str | int | float | None]:
    """A Result's values under the names of `columns`; None where there is nothing to say.

    Args:
        result: any Result, failed ones included.
        top: how many predictions to list.
    """
    heat = result.heats[0] if result.heats else _NO_HEAT
    box = heat.box or (None,) * 4
    values: dict[str, str | int | float | None] = {
        "path": result.ref.rel,
        "label": result.ref.label,
        "pred": result.pred,
        "prob": _short(result.prob),
        "correct": None if result.correct is None else int(result.correct),
        "target": heat.target or None,
        "method": result.method,
        "layer": result.layer,
    }
    for n in range(2, top + 1):
        name, prob = result.top[n - 1] if len(result.top) >= n else (None, None)
        values |= {f"top{n}": name, f"top{n}_prob": _short(prob)}
    return values | {
        "heat_x": _short(heat.x),
        "heat_y": _short(heat.y),
        **dict(zip(("box_x0", "box_y0", "box_x1", "box_y1"), box, strict=True)),
        "heat_area": _short(heat.area) if result.heats else None,
        "heat_border": _short(heat.border) if result.heats else None,
        "overlay": result.overlay,
        "width": result.width,
        "height": result.height,
        "status": result.status,
        "error": result.error,
    }


def _short(value: float | None) -> float | None:
    """Five significant digits: float32 promises no more across machines."""
    return None if value is None else float(f"{value:.5g}")
