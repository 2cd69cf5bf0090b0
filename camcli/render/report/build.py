"""The page of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camcli.cam.method_facts import TRAINED, of_no_class, where
from camcli.data.decode.images import printable
from camcli.data.sources.containers.lookup import ref_again
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, UsageError
from camcli.ours import Inside
from camcli.printable import counted
from camcli.render.places.layout import Tick, Working
from camcli.render.report.page import pages
from camcli.render.report.page.data import averaged
from camcli.render.report.page.folder import picture_of, replacing
from camcli.render.report.page.thumbs import write_thumbs
from camcli.render.report.parts.findings import choices, flags
from camcli.render.report.parts.places import places_parts
from camcli.render.report.parts.tabs import TABS, page_parts
from camcli.render.report.rows.image_rows import (
    ERROR,
    UNKNOWN,
    ImageRow,
    Names,
    RunData,
    in_order,
    read_rows,
)
from camcli.render.report.rows.summary import Summary, for_page, summarise
from camcli.render.report.settings.commands import commands
from camcli.render.report.settings.differences import difference_settings
from camcli.render.report.settings.looks import page_look, shared_scale, unit
from camcli.render.report.settings.marking import marking
from camcli.render.report.settings.whole import cropped, usually_seen, whole_commands

# Thumbnails for the rows that come first; the rest are shown from the photographs themselves.
THUMBNAILS = 4000
# The list of failed files in the page itself; the gallery and the table have them all.
FAILURES = 500


def write_report(
    run: RunData,
    out: Path,
    *,
    thumbnails: int = THUMBNAILS,
    self_contained: bool = False,
    tick: Tick | None = None,
    working: Working | None = None,
) -> Path:
    """Write the page of a run.

    Args:
        run: its rows and maps are consumed.
        out: the page's folder; a page that is there is replaced when the new one is complete.
        thumbnails: how many rows get one at most.
        self_contained: put everything into one file.
        tick: called after each thumbnail.
        working: hears about what is slow before that.

    Returns:
        The page, ``out/index.html``.

    Raises:
        UsageError: `out` holds something else, the run has no rows, or is too large for one file.
        CamcliError: the page cannot be written.
    """
    names = Names()
    rows = in_order(read_rows(run, names, run.signed))
    if not rows:
        raise UsageError(f"{run.path} has no rows yet, so there is nothing to show.")
    if self_contained:
        pages.check_self_contained(len(rows))
    summary = summarise(rows)
    numbers = {row.path: number for number, row in enumerate(rows)}
    parts = {
        **page_parts(run.beside, numbers.get, out),
        **places_parts(rows, working, out / pages.PLACES),
    }
    settings = {
        "findings": choices(parts),
        "typed": {"run": _quoted(str(run.path)), "photographs": _quoted(str(run.source))},
        "rows": len(rows),
        "again": command_of(run),
        "classes": names.list,
        "runs": [run_settings(run, out, rows)],
        "summaries": [for_page(summary, run.signed)],
        "marking": marking([run], rows),
        "mapped": any(row.sides[0].maps for row in rows),
        "commands": commands(run),
        **kinds(rows),
        **page_look(run, run.signed),
    }
    failed = [row for row in rows if row.sides[0].verdict == ERROR]
    context = {
        "title": run.name,
        "summary": summary,
        "about": [*about(run), *_doubt(run, summary, names.list)],
        "signed": run.signed,
        "learnt": (run.beside.training or {}).get("learnt"),
        "failed": [(row.path, row.sides[0].error) for row in failed[:FAILURES]],
        "failures": len(failed),
        "labelled": summary.judged > 0,
        "measured": any(row.objects for row in rows),
        **kinds(rows),
        **value_context(summary, names.list),
        "labels": label_table(run),
        "value_metrics": run.info.get("value_metrics"),
        "label_metrics": run.info.get("label_metrics"),
        # Labels of which the network knows none are worth a word; no labels at all are not.
        "unusable": sum(row.label >= 0 for row in rows if row.sides[0].verdict == UNKNOWN),
        "state": run.info.get("state"),
        "tabs": TABS,
        "flags": flags(parts),
        "choices": settings["findings"],
        "cropped": cropped(rows),
        "seen": usually_seen(rows),
    }
    first = rows if self_contained else rows[:thumbnails]
    photos = [photo(run, row) for row in first]
    write(out, "report.html", context, settings, rows, photos, parts, self_contained, tick)
    return out / "index.html"


def kinds(rows: Sequence[ImageRow]) -> dict[str, bool]:
    """Whether the network's outputs are labels of which several can be right, or values."""
    sides = [side for row in rows for side in row.sides]
    return {
        "several": any(side.positives is not None for side in sides),
        "values": any(side.value is not None for side in sides),
    }


def value_context(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    """How a value is spread, and its name; None where there is none, or where there are several."""
    found = [(number, c.spread) for number, c in summary.classes.items() if c.spread]
    number, spread = found[0] if len(found) == 1 else (None, None)
    return {"spread": spread, "spread_of": "" if number is None else names[number] or "value"}


def label_table(run: RunData) -> list[tuple[str, int, float | None, float | None, float]]:
    """Each label's images, average precision, F1 and threshold, as the run recorded them."""
    metrics = run.info.get("label_metrics")
    classes = metrics.get("classes") if isinstance(metrics, Mapping) else None
    if not isinstance(classes, Mapping):
        return []
    least = run.setting("thresholds")
    if not (isinstance(least, list) and len(least) == len(classes)):
        least = [0.5] * len(classes)
    found = []
    for (name, each), threshold in zip(classes.items(), least, strict=True):
        if not isinstance(each, Mapping):
            continue
        numbers = [each.get(key) for key in ("average_precision", "f1")]
        ap, f1 = (float(n) if isinstance(n, int | float) else None for n in numbers)
        images = each.get("images")
        at = float(threshold) if isinstance(threshold, int | float) else 0.5
        found.append((printable(str(name)), images if isinstance(images, int) else 0, ap, f1, at))
    return sorted(found, key=lambda row: (row[2] is None, row[2] or 0.0))


def write(
    out: Path,
    template: str,
    context: Mapping[str, Any],
    settings: dict[str, Any],
    rows: Sequence[ImageRow],
    photos: Sequence[ImageRef | None],
    parts: Mapping[str, Any],
    self_contained: bool,
    tick: Tick | None,
) -> None:
    """Write a page of either kind, with thumbnails of `photos`, those of the first rows."""
    settings |= {"parts": list(parts), "averaged": averaged(rows)}
    with replacing(out) as part:
        if self_contained:
            settings |= {"thumbs": 0, "contained": True}
            pages.write_self_contained(part, template, context, settings, rows, photos, parts)
            return
        without = write_thumbs(photos, part, tick)
        any_there = len(without) < len(photos)
        settings |= {
            "thumbs": len(photos) if any_there else 0,
            # Nothing asks for these: a browser's console lists what is not there as errors.
            "thumbless": without if any_there else [],
            "contained": False,
        }
        pages.write_page(part, template, context, settings, rows, parts)


def photo(run: RunData, row: ImageRow) -> ImageRef | None:
    """The photograph of a row; None if it could not be read, or lies outside of the source."""
    inside = Inside(run.source)
    if not row.size or not inside.holds(row.path):
        return None
    return ref_again(inside, run.source, row.path)


def run_settings(
    run: RunData, out: Path, rows: Sequence[ImageRow], side: int = 0
) -> dict[str, Any]:
    """What the scripts need to know of a run, which is one side of the rows."""
    style = run.setting("style")
    plain = not (isinstance(style, Mapping) and style.get("panel")) and run.setting("topk") in (
        None,
        1,
    )
    method = method if isinstance(method := run.setting("method"), str) else None
    scale = shared_scale(rows, side)
    if scale and of_no_class(method):
        scale["weak"] = 0  # whatever the class's probability
    return {
        "name": run.name,
        "method": method,
        # Maps that are the same for every class are no evidence for one.
        "noClass": of_no_class(method),
        # Overlays of one picture can be laid over the photograph; panels cannot.
        "overlayFits": plain,
        "scale": scale,
        "unit": unit(run),
        **difference_settings(run, rows, side),
        "whole": whole_commands(run),
        **picture_of(run.path, run.source, out),
    }


def _asked_words(asked: Any) -> str | None:
    """That a method was not named, of a run that did not record why it took this one."""
    return f"chosen by camcli (--method {asked})" if isinstance(asked, str) else None


def about(run: RunData) -> list[tuple[str, str]]:
    """Where a run comes from: what a reader needs to make it again."""
    info = run.info
    found: list[tuple[str, Any]] = []
    provenance = info.get("provenance")
    if isinstance(provenance, Mapping):
        found += [
            ("Network", provenance.get("name")),
            ("Weights", provenance.get("weights")),
            ("SHA-256 of the weights", provenance.get("sha256")),
        ]
        notes = provenance.get("notes")
        if isinstance(notes, list):
            found.append(("Recognised and assumed", " ".join(map(str, notes))))
    found += [
        ("Method", run.setting("method")),
        ("Why this method", info.get("chosen") or _asked_words(info.get("asked"))),
        ("Layer", where(str(run.setting("layer") or ""))),
        ("Explained", _explained(run)),
        ("Compared with", _compared(run)),
        ("Score", _score(run)),
    ]
    preprocess = run.setting("preprocess")
    if isinstance(preprocess, Mapping):
        found.append(("Input", _input(preprocess)))
    config = info.get("config")
    if isinstance(config, Mapping):
        # Whatever else decided the maps (smoothing, precision ...), under its own name.
        found += [
            (name.replace("_", " ").capitalize(), value)
            for name, value in config.items()
            if name not in _SAID and isinstance(value, str | int | float) and value is not False
        ]
    found += [
        ("Photographs", run.setting("source")),
        ("Run directory", run.path.absolute()),
        ("Finished", info.get("written") if info.get("state") == "finished" else None),
        ("Seconds", info.get("seconds")),
        ("Images a second", info.get("images_per_second")),
        ("Device", info.get("device")),
        ("camcli", info.get("camcli")),
    ]
    if isinstance(provenance, Mapping) and isinstance(provenance.get("versions"), Mapping):
        found += list(provenance["versions"].items())
    found.append(("Command", command_of(run)))
    return [(name, printable(str(value))) for name, value in found if value not in (None, "")]


# Settings that have their own line, or decide the pictures on the disk only.
_SAID = {"source", "model", "method", "layer", "target", "topk", "score", "preprocess", "top",
         "style", "name_template", "only", "overlays"}  # fmt: skip


def command_of(run: RunData) -> str | None:
    """What made a run, as it would be typed; None where that was not recorded."""
    command = run.info.get("command")
    if not isinstance(command, list):
        return None
    return " ".join(_quoted(str(word)) for word in command)


def _doubt(run: RunData, summary: Summary, classes: Sequence[str]) -> list[tuple[str, str]]:
    """What to check first, where the network knows no more than chance."""
    from camcli.models.classes.chance import chance_doubt

    if run.setting("output") in ("sigmoid", "none"):  # several labels are right, or none is
        return []
    pairs = {**summary.confused, **{(c, c): each.right for c, each in summary.classes.items()}}
    provenance = run.info.get("provenance")
    notes = provenance.get("notes") if isinstance(provenance, Mapping) else None
    text = chance_doubt(pairs, classes, list(map(str, notes)) if isinstance(notes, list) else ())
    return [("Check first", printable(text))] if text else []


def _input(preprocess: Mapping[str, Any]) -> str | None:
    """How photographs became the network's input."""
    from camcli.data.decode.preprocess import Preprocess
    from camcli.data.decode.preprocess_words import described

    try:
        return described(Preprocess.from_dict(dict(preprocess)))
    except (ValueError, TypeError, KeyError, AttributeError):  # of another version, or by hand
        told = preprocess.get("told")
        return told if isinstance(told, str) else None


def _score(run: RunData) -> str | None:
    """What number of a class the maps explain; of two classes the contrast needs a word."""
    score, classes, method = (run.setting(name) for name in ("score", "classes", "method"))
    if isinstance(method, str) and of_no_class(method):
        return None
    if score == "contrast" and isinstance(classes, str) and classes.startswith("2 from "):
        return "contrast: of two classes half of the difference of their logits"
    return str(score) if score else None


def _compared(run: RunData) -> str | None:
    """The references of a run against others, as its settings have them."""
    against = run.setting("against")
    if not isinstance(against, Mapping):
        return None
    source, count = against.get("source"), against.get("count")
    if not isinstance(count, int) or isinstance(count, bool):
        return printable(str(source))
    return f"{counted(count, 'photograph')} of {printable(str(source))}"


def _explained(run: RunData) -> str | None:
    if isinstance(run.setting("against"), Mapping):
        return "how different the photograph is"
    method = run.setting("method")
    if method == TRAINED.name:
        return "nothing: where things like those are that boxes taught, whatever the class"
    if isinstance(method, str) and of_no_class(method):
        return "no class: the map is the same for every one"
    target, topk = run.setting("target"), run.setting("topk")
    if isinstance(target, int):
        return f"class number {target}"
    if isinstance(topk, int) and topk > 1:
        return f"the {topk} best classes"
    return "the predicted class" if run.info else None


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(Path(word).name if word.endswith("/camcli") else word)


def check_same_source(a: RunData, b: RunData, common: int) -> None:
    """Refuse to compare runs over different photographs.

    Raises:
        CamcliError: they have none in common.
    """
    if not common:
        raise CamcliError(
            f"{a.path} and {b.path} have no image in common (paths are compared relative to "
            f"{a.source} and {b.source}); compare two runs over the same folder."
        )
