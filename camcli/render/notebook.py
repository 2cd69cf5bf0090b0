"""Results as a notebook shows them: a picture and what was predicted, as HTML.

Names of files and classes are anybody's: everything that is written is escaped, nothing is loaded
from elsewhere, and no script is needed.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from camcli.cam.method_facts import of_no_class, where
from camcli.printable import percent, printable
from camcli.render.verdict import headline, is_multi_label, nothing, truth
from camcli.result import Result

SIDE, THUMB = 420, 200  # pixels of a picture's longer side
_QUALITY = 85
_LONGEST = 200  # letters of a name
_CARD = (
    "display:inline-block;vertical-align:top;margin:0 12px 12px 0;max-width:{width}px;"
    "font-family:sans-serif;font-size:13px;line-height:1.4;text-align:left"
)
_QUIET = "opacity:.65"


def result_html(result: Result, side: int = SIDE) -> str:
    """A Result as HTML: the photograph under its heatmap, the predictions, and whether it is right.

    Args:
        result: of `camcli.explain` or `camcli.batch`.
        side: pixels of the picture's longer side.
    """
    name = _text(result.ref.rel)
    lines = [f"<div><b>{name}</b></div>"]
    if result.status == "error":
        lines.append(f"<div>could not be explained: {_text(result.error or '')}</div>")
        return _card(lines, side)
    lines.insert(0, _picture(result, side))
    shown = result.positives or result.top[:3]
    if result.value is not None or (is_multi_label(result) and not result.positives):
        what, sure = headline(result)
        lines.append(f"<div>{_text(what or '')} {_text(sure or '')}</div>")
        shown = ()
    for n, (label, prob) in enumerate(shown):
        words = f"{_text(label)} {percent(prob, 1)}"
        quiet = n > 0 and not result.positives
        lines.append(f'<div style="{_QUIET}">{words}</div>' if quiet else f"<div>{words}</div>")
    if (true := truth(result)) is not None and result.value is None:
        verdict = {True: "right", False: "wrong", None: "not a class of this network"}
        lines.append(f"<div>label: {_text(true)} ({verdict[result.correct]})</div>")
    lines.append(f'<div style="{_QUIET}">{_of_map(result)}</div>')
    return _card(lines, side)


def results_html(results: Sequence[Result], said: str, shown: int = 12) -> str:
    """Several Results as HTML: some of them in a row, and how many there are.

    Args:
        results: in order.
        said: a sentence about all of them.
        shown: how many get a picture.
    """
    cards = "".join(result_html(each, THUMB) for each in results[:shown])
    return f'<div style="font-family:sans-serif;font-size:13px">{_text(said)}</div>{cards}'


def _of_map(result: Result) -> str:
    """What the map explains."""
    if not result.heats:
        return "no map"
    heat = result.heats[0]
    words = [_text(result.method) if result.method else "map"]
    if heat.target != result.pred and not of_no_class(result.method):
        words.append(f"of {_text(heat.target)}")
    if result.versus is not None:
        words.append(f"versus {_text(result.versus)}")
    if result.layer:
        words.append(f"at {_text(where(result.layer))}")
    if heat.empty:
        words.append(f"({nothing(heat, result.method)})")
    return " ".join(words)


def _picture(result: Result, side: int) -> str:
    """The overlay as an element; a sentence where the photograph cannot be read any more."""
    import cv2

    from camcli.data.decode.images import load_image
    from camcli.errors import CamcliError
    from camcli.render.method_grid import method_grid
    from camcli.render.picture import annotate
    from camcli.render.picture_files import encode_jpeg

    try:
        rgb = load_image(result.ref)
        ratio = side / max(rgb.shape[:2])
        size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
        small = cv2.resize(
            rgb, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_NEAREST
        )
        if result.beside:
            picture = method_grid(small, result)
            height, width = picture.shape[:2]
            size = width, height
        else:
            picture = annotate(small, result, strip=False)
        data = encode_jpeg(picture, _QUALITY)
    except CamcliError as error:
        return f'<div style="{_QUIET}">no picture: {_text(str(error))}</div>'
    encoded = base64.b64encode(data).decode()
    return (
        f'<img alt="{_text(result.ref.rel)}" width="{size[0]}" height="{size[1]}" '
        f'style="display:block;max-width:100%;height:auto" src="data:image/jpeg;base64,{encoded}">'
    )


def _card(lines: Sequence[str], side: int) -> str:
    return f'<div style="{_CARD.format(width=side)}">{"".join(lines)}</div>'


def _text(text: str) -> str:
    shown = printable(text)
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    return html.escape(shown, quote=True)
