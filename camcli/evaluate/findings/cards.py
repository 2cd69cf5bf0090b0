"""A finding as plain values: what any page shows of it beside its photographs."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from camcli.evaluate.findings.finding import Effect, Finding, Measured
from camcli.evaluate.findings.order import HEADINGS
from camcli.render.picture_files import encode_jpeg, encode_png
from camcli.render.sizes import shrink

SIDE = 240  # pixels of the longer side of a photograph
_QUALITY = 78
MARK = 256  # pixels of the longer side up to which a mark is enlarged


def told(f: Finding, number: int) -> dict[str, Any]:
    """What there is to say of a finding.

    Args:
        f: the finding.
        number: its own, from 1.

    Returns:
        Texts as they are, to be shown as text; shares in percent; NaN where a number is not known.
    """
    return {
        "number": number,
        "kind": f.kind,
        "label": f.label,
        "verdict": f.verdict,
        "key": f.kind if f.verdict == "data" else f.verdict,
        "word": HEADINGS[f.verdict].word if f.verdict != "data" else "",
        "title": f.title,
        "words": f.words,
        "advice": f.advice,
        "mark": None if f.picture is None or not f.picture.size else mark(f.picture),
        "counts": counts(f),
        "effects": [
            e
            for e in (
                _effect(f.remove, f"leave {f.label}", "Taken away"),
                _effect(f.add, f"become {f.label}", "Put on others"),
            )
            if e
        ],
        "heat": None if f.heat is None else {"share": f.heat.share, "area": f.heat.area,
                                             "photographs": f.heat.photographs},
        "retried": [
            {
                "path": r.rel, "how": r.how, "before": photograph(r.before),
                "after": photograph(r.after), "said": (r.said_before, r.said_after),
            }
            for r in f.retried
        ],
    }  # fmt: skip


def mark(rgb: np.ndarray) -> dict[str, Any]:
    """What a mark looks like, enlarged by a whole number so that its pixels stay what they are."""
    rgb = np.ascontiguousarray(shrink(rgb, 2 * MARK))
    zoom = max(1, min(4, MARK // max(rgb.shape[:2])))
    return {
        "url": data_url(encode_png(rgb), "png"),
        "width": rgb.shape[1] * zoom,
        "height": rgb.shape[0] * zoom,
        "zoom": zoom,
    }


def photograph(rgb: np.ndarray) -> dict[str, Any]:
    """A photograph of which the longer side has `SIDE` pixels at most."""
    small = np.ascontiguousarray(shrink(rgb, SIDE))
    return {
        "url": data_url(encode_jpeg(small, _QUALITY), "jpeg"),
        "width": small.shape[1],
        "height": small.shape[0],
    }


def data_url(data: bytes, kind: str) -> str:
    """A picture's bytes as a URL that holds them."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def counts(f: Finding) -> list[tuple[str, int, int]]:
    """Photographs that have it, of those that were looked at: whose, how many, of how many."""
    found = []
    said = "labelled" if f.verdict == "data" else "predicted"
    if f.looked:
        own = f"{said} {f.label}" if f.label is not None else ""
        found.append((own, f.present, f.looked))
    if f.elsewhere_looked:
        found.append((f"{said} otherwise", f.elsewhere, f.elsewhere_looked))
    return found


def _effect(effect: Effect | None, become: str, what: str) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "what": what,
        "how": effect.how,
        "control_is": effect.control_is,
        "photographs": effect.photographs,
        "become": become,
        "rows": [
            (effect.how, _bar(effect.changed), effect.log_odds.value, "w"),
            ("control", _bar(effect.control), effect.control_log_odds.value, ""),
        ],
    }


def _bar(m: Measured) -> dict[str, float]:
    """A share and its interval in percent, within 0 to 100."""
    value, low, high = (
        min(100.0, max(0.0, 100 * v)) if np.isfinite(v) else 0.0 for v in (m.value, m.low, m.high)
    )
    return {"value": value, "low": low, "high": high}
