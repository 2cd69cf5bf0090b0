"""A page's files. Data come as scripts: a page opened from a disk may not fetch anything else."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from camcli.data.decode.images import printable
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.printable import percent
from camcli.render import verdict
from camcli.render.report.page.data import (
    DETAIL_PAGE,
    INDEX_PAGE,
    SHARES,
    USUAL_OVERLAYS,
    as_script,
    data_scripts,
    part_scripts,
)
from camcli.render.report.page.folder import MARK
from camcli.render.report.page.fonts import font_faces, letters
from camcli.render.report.page.thumbs import thumbnail
from camcli.render.report.rows.image_rows import ImageRow
from camcli.render.theme import css

TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = "style.css"
# Style sheets of the large view and of single tabs, after the page's own.
STYLES: tuple[str, ...] = (
    "view.css",
    "look.css",
    "mistakes.css",
    "findings.css",
    "findings_tab.css",
    "measured.css",
    "map.css",
    "marks.css",
    "print.css",
)
# In this order; each adds to the one object `camcli`. The first makes it, the last starts the page.
SCRIPTS: tuple[str, ...] = (
    "page/base.js",
    "drawing/look.js",
    "drawing/heat.js",
    "page/store.js",
    "page/parts.js",
    "page/filters.js",
    "drawing/seen.js",
    "page/gallery.js",
    "page/view.js",
    "page/print.js",
    "page/wide.js",
    "drawing/difference.js",
    "drawing/tables.js",
    "drawing/charts.js",
    "classes/mistakes.js",
    "classes/classes.js",
    "findings/index.js",
    "findings/cards.js",
    "findings/tab.js",
    "drawing/objects.js",
    "measured/evaluation.js",
    "measured/tried.js",
    "measured/training.js",
    "marks/file.js",
    "marks/store.js",
    "marks/marks.js",
    "findings/marks.js",
    "map/places.js",
    "map/points.js",
    "map/colours.js",
    "map/side.js",
    "map/map.js",
    "page/theme.js",
    "page/main.js",
)
# One file with everything in it is for mailing around; browsers and mailboxes choke on more.
# The details of so many rows come with the document: then it can be printed as soon as it is there.
EAGER_ROWS = 1000
SELF_CONTAINED_BYTES, SELF_CONTAINED_ROWS = 40_000_000, 2000
PLACES = "data/places.js"


def write_page(
    out: Path,
    template: str,
    context: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: Sequence[ImageRow],
    parts: Mapping[str, Any],
) -> None:
    """Write the page and its data into an empty folder.

    Args:
        out: the folder.
        template: under ``templates/``.
        context: what the template shows.
        settings: what the scripts get.
        rows: in the page's order.
        parts: what single tabs need, loaded when they are looked at: name -> plain value.
    """
    (out / "data").mkdir()
    names = []
    data = (*data_scripts(rows, bool(settings.get("signed"))), *part_scripts(parts))
    for name, text in data:
        (out / name).write_text(text, "ascii")
        names.append(name)
    # The first page of rows comes with the document: something to see while the rest arrives.
    first = [name for name in names if name.endswith("index-0.js")]
    few = len(rows) <= EAGER_ROWS
    details = [name for name in names if few and name.startswith("data/detail-")]
    told = _settings({**settings, "eager": len(details)})
    (out / "data" / "settings.js").write_text(told, "ascii")
    (out / "assets").mkdir()
    assets = [f"assets/{name}" for name in SCRIPTS]
    for name in SCRIPTS:
        (out / "assets" / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(TEMPLATES / "js" / name, out / "assets" / name)
    faces = _faces(context, settings, rows, parts)
    (out / "assets" / STYLE).write_text(faces + _style(), "utf-8")
    html = _render(
        template,
        context,
        styles=[f"assets/{STYLE}"],
        scripts=[assets[0], "data/settings.js", *assets[1:-1], *first, assets[-1], *details],
        inline_style=None,
        inline_scripts=[],
        policy="default-src 'none'; img-src 'self' file: data:; style-src 'self' file:; "
        "font-src data:; script-src 'self' file:",
    )
    (out / "index.html").write_text(html, "utf-8")


def write_self_contained(
    out: Path,
    template: str,
    context: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: Sequence[ImageRow],
    photos: Sequence[ImageRef | None],
    parts: Mapping[str, Any],
) -> None:
    """Write all of it into one HTML file, thumbnails included.

    Args:
        out: the folder, which gets ``index.html``.
        template: see `write_page`.
        context: see `write_page`.
        settings: see `write_page`.
        rows: see `write_page`.
        photos: one for each row.
        parts: see `write_page`.

    Raises:
        UsageError: there are too many rows, or the file would be too large.
    """
    scripts = [(TEMPLATES / "js" / name).read_text("utf-8") for name in SCRIPTS]
    data = [text for _, text in data_scripts(rows, bool(settings.get("signed")))]
    data += [text for _, text in part_scripts(parts)]
    pictures: dict[int, str] = {}
    size = sum(map(len, data))
    for number, photo in enumerate(photos):
        if photo and (small := thumbnail(photo)):
            pictures[number] = "data:image/jpeg;base64," + base64.b64encode(small).decode()
            size += len(pictures[number])
        if size > SELF_CONTAINED_BYTES:
            raise UsageError(
                "One file with all of this run would be larger than "
                f"{SELF_CONTAINED_BYTES // 10**6} MB, more than mailboxes take. Leave "
                "--self-contained out and copy the folder."
            )
    script = [scripts[0], _settings({**settings, "pictures": pictures, "eager": 0}), *scripts[1:-1]]
    script += [*data, scripts[-1]]
    style = _faces(context, settings, rows, parts) + _style()
    html = _render(
        template,
        context,
        styles=[],
        scripts=[],
        inline_style=Markup(style),  # ours
        inline_scripts=[Markup(text) for text in script],  # ours, or from `as_script`
        policy=f"default-src 'none'; img-src data:; font-src data:; style-src {_hash(style)}; "
        f"script-src {' '.join(map(_hash, script))}",
    )
    (out / "index.html").write_text(html, "utf-8")


def contained(
    template: str, context: Mapping[str, Any], styles: Sequence[str], scripts: Sequence[str]
) -> str:
    """A page that is one file: nothing is fetched, and nothing else may run in it.

    Args:
        template: under ``templates/``.
        context: what it shows; pictures are ``data:`` URLs.
        styles: further style sheets under ``templates/css/``.
        scripts: under ``templates/js/``.

    Returns:
        HTML.
    """
    code = [(TEMPLATES / "js" / name).read_text("utf-8") for name in scripts]
    files: dict[str, Any] = {"styles": [], "scripts": []}
    bare = _render(template, context, **files, inline_style="", inline_scripts=[], policy="")
    style = font_faces(set(bare)) + _style(styles)
    return _render(
        template,
        context,
        **files,
        inline_style=Markup(style),  # ours
        inline_scripts=[Markup(each) for each in code],  # ours
        policy=f"default-src 'none'; img-src data:; font-src data:; style-src {_hash(style)}; "
        f"script-src {' '.join(map(_hash, code))}",
    )


def check_self_contained(rows: int) -> None:
    """Refuse early what will not fit.

    Raises:
        UsageError: too many rows.
    """
    if rows > SELF_CONTAINED_ROWS:
        raise UsageError(
            f"--self-contained puts everything into one file, for up to {SELF_CONTAINED_ROWS} "
            f"images; this run has {rows}. Leave it out and copy the folder, or make a run with "
            "--limit."
        )


def _faces(
    context: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: Sequence[ImageRow],
    parts: Mapping[str, Any],
) -> str:
    """The fonts that a page's names need."""
    return font_faces(letters(context, settings, [row.path for row in rows], parts))


def _hash(text: str) -> str:
    """What allows an inline script or style under a content security policy."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _style(more: Sequence[str] = STYLES) -> str:
    names = (STYLE, *(f"css/{name}" for name in more))
    return css() + "".join((TEMPLATES / name).read_text("utf-8") for name in names)


def _settings(settings: Mapping[str, Any]) -> str:
    shared = {
        "page": {"index": INDEX_PAGE, "detail": DETAIL_PAGE},
        "overlays": USUAL_OVERLAYS,
        "shares": SHARES,
    }
    return f"camcli.settings={as_script({**settings, **shared})};\n"


def _render(template: str, context: Mapping[str, Any], **more: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: percent(share, 1)
    environment.filters["shown"] = printable
    environment.filters["count"] = lambda n: f"{n:,}"
    environment.filters["value"] = verdict.number
    return environment.get_template(template).render(mark=MARK, **context, **more)
