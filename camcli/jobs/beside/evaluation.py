"""What was measured of a run's network, for its page: the folder of ``camcli evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from camcli.batch.run_files.recorded_paths import file_sha256, recorded_paths
from camcli.errors import UsageError
from camcli.evaluate.comparison.result.result_files import RECORD
from camcli.evaluate.comparison.rows.columns import (
    CLASSIFICATION,
    FORM,
    LOWER,
    UNRELATED,
    MetricRow,
    groups,
    name_of,
    sanity_tables,
)
from camcli.evaluate.comparison.rows.controls import best, is_control
from camcli.jobs.beside.files import (
    folders_beside,
    json_object,
    mapping,
    number,
    texts,
    words,
)
from camcli.ours import KIND

# More of them make a page slow, and nobody reads on.
_ROWS, _METRICS, _NETWORKS, _PAIRS, _LABELS, _SENTENCES = 200, 100, 20, 20, 2000, 100


def find_evaluation(
    info: Mapping[str, Any], run: Path, given: Path | None, say: Callable[[str], object]
) -> dict[str, Any] | None:
    """What is known of an evaluation over a run's photographs.

    Args:
        info: the content of the run's ``run.json``.
        run: its folder.
        given: the folder of the evaluation, by the user's word; None to look beside the run for
            the newest one over the same photographs, of the same network if there is one, and
            never of one that is known to be another.
        say: told of the others that there are.

    Returns:
        Plain values for the page; None where there is none.

    Raises:
        UsageError: `given` is no folder of an evaluation.
    """
    if given is not None:
        record = _record(given)
        if record is None:
            raise UsageError(
                f"{given} is not the --out of a 'camcli evaluate': it has no {RECORD} of one."
            )
        return read_evaluation(given, record) | {"same": _of_network(record, info, given)}
    found, others = [], []
    for folder in folders_beside(run):
        record = _record(folder)
        if record is None or not _same_photographs(record, info, run):
            continue
        try:
            when = (folder / RECORD).stat().st_mtime
        except OSError:
            continue
        same = _of_network(record, info, folder)
        if same is False:
            others.append(str(folder))
        else:
            found.append((same is True, when, str(folder), record))
    if not found:
        if others:
            say(
                f"Of these photographs there is an evaluation of another network in {others[0]}; "
                "--evaluation shows it."
            )
        return None
    same, _, name, record = max(found, key=lambda each: each[:3])
    others = sorted([*others, *(other for *_, other, _ in found if other != name)])
    if others:
        say(
            f"The page shows the evaluation in {name}; --evaluation shows another one: "
            f"{', '.join(others[:5])}."
        )
    return read_evaluation(Path(name), record) | {"same": same or None, "others": others[:20]}


def _record(folder: Path) -> dict[str, Any] | None:
    """What an evaluation recorded; None where there is none."""
    path = folder / RECORD
    record = json_object(path) if path.is_file() else None
    if record is None or record.get(KIND, "evaluate") != "evaluate":
        return None
    return record if isinstance(record.get("rows"), list) else None


def _same_photographs(record: Mapping[str, Any], info: Mapping[str, Any], run: Path) -> bool:
    """Whether an evaluation was over the photographs of the run."""
    source = mapping(info.get("config")).get("source")
    if not isinstance(source, str) or not source or "\0" in source:
        return False
    recorded = mapping(record.get("settings")).get("source")
    if isinstance(recorded, str):
        return recorded == source
    # An older record has what the user typed.
    data = record.get("data")
    try:
        return isinstance(data, str) and any(
            path.absolute() == Path(source) for path in recorded_paths(data, info, run)
        )
    except (OSError, ValueError, RuntimeError):
        return False


def _of_network(record: Mapping[str, Any], info: Mapping[str, Any], folder: Path) -> bool | None:
    """Whether the run's network is among those that were evaluated; None where nobody knows."""
    provenance = mapping(info.get("provenance"))
    sha256, name = words(provenance.get("sha256")), words(provenance.get("name"))
    recorded = mapping(record.get("settings")).get("networks")
    networks = [row.get("model") for row in record["rows"] if isinstance(row, dict)]
    names = {each for each in networks if isinstance(each, str) and each}
    source = provenance.get("source")
    if source == "user" or not names:  # the name says nothing of the weights
        return None
    if source != "checkpoint":
        return name in names
    files = [
        path
        for path in (mapping(recorded).values() if recorded else names)
        if isinstance(path, str)
    ]
    known = [
        digest
        for file in files[:_NETWORKS]
        for path in list(recorded_paths(file, info, folder))[:3]
        if (digest := file_sha256(path))
    ]
    return sha256 in known if known and sha256 else None


def read_evaluation(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``camcli evaluate`` left in a folder, as plain values for the page.

    Args:
        folder: where it lies.
        record: the content of its ``results.json``; what is broken in it is left out.
    """
    rows, checks = (_rows(record.get(key)) for key in ("rows", "sanity"))
    sentences = {
        words(each.get("metric")): words(each.get("sentence"), 2000)
        for each in _objects(record.get("against_centre_box"), _SENTENCES)
    }
    settings = mapping(record.get("settings"))
    networks = {row.model for row in rows if row.model}
    # The name of the only network would be in each row.
    alone = next(iter(networks)) if len(networks) == 1 else ""
    return {
        "folder": str(folder),
        "data": words(record.get("data"), 2000),
        "photographs": int(number(record.get("photographs")) or 0),
        "unreadable": texts(record.get("unreadable"), _SENTENCES),
        "settings": [
            [name.replace("_", " "), words(value)]
            for name, value in list(settings.items())[:60]
            if value not in (None, "") and words(value)
        ],
        "partial": texts(record.get("partial"), _SENTENCES),
        "lost": texts(record.get("lost"), _SENTENCES),
        "network": alone,
        "tables": [
            _table(*group, rows, sentences, _method if alone else name_of) for group in groups(rows)
        ],
        "sanity": _sanity(checks),
        # Which method to use comes first, then what is behind it.
        "verdicts": [
            *(
                line
                for one in _objects(record.get("advice"), _NETWORKS)
                for line in texts(one.get("lines"), _SENTENCES)
            ),
            *texts(record.get("about_heads"), _SENTENCES),
            *texts(record.get("verdicts"), _SENTENCES),
        ],
        "predictions": _predictions(record.get("predictions")),
        "annotations": {key: settings.get(key) for key in ("boxes", "masks", "trimap")},
    }


def _objects(value: Any, most: int) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found[:most] if isinstance(each, dict)]


def _rows(value: Any) -> list[MetricRow]:
    """The rows of a table; numbers that are none, and what is no row, are left out."""
    found = []
    for each in _objects(value, _ROWS):
        metrics = {
            words(name): value
            for name, told in list(mapping(each.get("metrics")).items())[:_METRICS]
            if (value := number(told)) is not None
        }
        intervals = {}
        for name, span in list(mapping(each.get("intervals")).items())[:_METRICS]:
            ends = [number(end) for end in span] if isinstance(span, list) else []
            if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
                intervals[words(name)] = (ends[0], ends[1])
        count = int(number(each.get("photographs")) or 0)
        model, method = words(each.get("model")), words(each.get("method"))
        if metrics and method:
            found.append(MetricRow(model, method, count, metrics, intervals))
    return found


def _table(
    title: str,
    metrics: Sequence[str],
    hint: str,
    rows: Sequence[MetricRow],
    sentences: Mapping[str, str],
    name: Callable[[MetricRow], str] = name_of,
) -> dict[str, Any]:
    """A group of metrics: one line a method, with intervals, and the best of each column."""
    return {
        "title": title,
        "hint": f"{hint[0].upper()}{hint[1:]}." if hint else "",
        "metrics": [[metric, metric in LOWER and metric not in FORM] for metric in metrics],
        "best": [best(rows, metric) for metric in metrics],
        "rows": [
            [
                name(row),
                _kind(row),
                [
                    [row.metrics[metric], *row.intervals.get(metric, ())]
                    if metric in row.metrics
                    else None
                    for metric in metrics
                ],
            ]
            for row in rows
            if any(metric in row.metrics for metric in metrics)
        ],
        "sentence": next((sentences[metric] for metric in metrics if metric in sentences), ""),
    }


def _kind(row: MetricRow) -> str:
    """What a line is: the predictions themselves, a control, or a method."""
    if row.method == CLASSIFICATION:
        return "model"
    return "control" if is_control(row) or row.method == UNRELATED else ""


def _sanity(checks: Sequence[MetricRow]) -> list[dict[str, Any]]:
    """The sanity checks: for each network a table of each kind."""
    return [
        {**_table(heading, metrics, hint, rows, {}, _method), "best": [None] * len(metrics)}
        for heading, metrics, rows, hint in sanity_tables(checks)
        if metrics
    ]


def _method(row: MetricRow) -> str:
    return row.model if row.method == CLASSIFICATION else row.method


_NUMBERS = (
    ("count", "photographs judged"),
    ("unlabelled", "without a usable label"),
    ("top1", "accuracy"),
    ("exact", "all labels right"),
    ("top5", "right class among the first five"),
    ("mean_ap", "mean average precision"),
    ("f1_micro", "F1 of all labels"),
    ("r2", "share of the variance explained (R²)"),
    ("mae", "mean error"),
    ("rmse", "root of the mean squared error"),
    ("bias", "mean of said less true"),
    ("log_loss", "log-loss"),
    ("ece", "calibration error"),
)


def _predictions(value: Any) -> list[dict[str, Any]]:
    """How each network's predictions fare: its numbers, its worst pairs or its labels."""
    found = []
    for network, told in list(mapping(value).items())[:_NETWORKS]:
        own = mapping(told)
        pairs = [
            [
                words(each.get("true")),
                words(each.get("predicted")),
                count,
                number(each.get("share")),
            ]
            for each in _objects(own.get("most_confused"), _PAIRS)
            if (count := number(each.get("count")))
        ]
        labels = [
            [words(each.get("label")),
             *(number(each.get(n)) for n in ("count", "average_precision", "f1", "threshold"))]
            for each in _objects(own.get("labels"), _LABELS)
        ]  # fmt: skip
        numbers = [
            [name, said, value]
            for name, said in _NUMBERS
            if (value := number(own.get(name))) is not None
        ]
        if numbers or pairs or labels:
            found.append(
                {"network": words(network), "numbers": numbers, "pairs": pairs, "labels": labels}
            )
    return found
