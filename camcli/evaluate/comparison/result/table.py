"""The table of a comparison as Markdown, CSV and a chart."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError
from camcli.evaluate.comparison.result.adapted_words import heads_told
from camcli.evaluate.comparison.result.result_files import (
    FILES,
    PARTIAL_TABLE,
    RECORD,
    TABLE,
    pictures_in,
)
from camcli.evaluate.comparison.rows.advice import Advice
from camcli.evaluate.comparison.rows.columns import (
    CLASSIFICATION,
    CONTROLS,
    FORM,
    LOWER,
    UNRELATED,
    MetricRow,
    groups,
    name_of,
    sanity_tables,
)
from camcli.evaluate.comparison.rows.controls import Standing, best, is_control, standing
from camcli.evaluate.comparison.rows.losses import Losses
from camcli.evaluate.metrics.confusion import confusion_markdown, confusion_pictures
from camcli.evaluate.metrics.sanity import is_kept
from camcli.files import why
from camcli.ours import FILES as LISTED
from camcli.ours import KIND, put_together
from camcli.printable import decimals
from camcli.spreadsheet import safe

PARTIAL = "Not everything was measured: see results.md"


def cell(row: MetricRow, metric: str) -> str:
    """``0.95 (0.85-1.00)``, ``0.01 (-0.02 to 0.04)``; a dash where there is no value."""
    if metric not in row.metrics:
        return "-"
    text = decimals(row.metrics[metric], 3)
    if metric in row.intervals:
        low, high = row.intervals[metric]
        # A dash before a number below 0 would be read as its sign.
        low_told, high_told = decimals(low, 2), decimals(high, 2)
        text += f" ({low_told}{' to ' if low_told[0] == '-' else '-'}{high_told})"
    return text


def standings(rows: Sequence[MetricRow]) -> list[Standing]:
    """How the methods stand against the centred box, for each group in which it can be said."""
    found = (standing(rows, metrics, name_of) for _, metrics, _ in groups(rows))
    return [each for each in found if each is not None]


def markdown(rows: Sequence[MetricRow]) -> str:
    """One Markdown table a group, and what it says beside the centred box.

    The best value of each column is bold, unless a control's is better.
    """
    parts = []
    for heading, metrics, hint in groups(rows):
        lines = [
            f"### {heading}",
            "",
            f"{hint[0].upper()}{hint[1:]}.",
            "",
            "| method | " + " | ".join(metrics) + " |",
            "| --- |" + " --- |" * len(metrics),
        ]
        for row in rows:
            if not any(m in row.metrics for m in metrics):
                continue
            cells = [
                f"**{cell(row, m)}**"
                if m in row.metrics and not is_control(row) and row.metrics[m] == best(rows, m)
                else cell(row, m)
                for m in metrics
            ]
            lines.append(f"| {_escaped(name_of(row))} | " + " | ".join(cells) + " |")
        if found := standing(rows, metrics, name_of):
            lines += ["", _escaped(found.sentence())]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n" if parts else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def csv_text(rows: Sequence[MetricRow]) -> str:
    """One line for each row and metric: model, method, photographs, metric, value, low, high."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("model", "method", "photographs", "metric", "value", "low", "high"))
    for row in rows:
        for metric, value in row.metrics.items():
            low, high = row.intervals.get(metric, (None, None))
            numbers = [None if v is None else f"{v:.5g}" for v in (value, low, high)]
            writer.writerow((safe(row.model), safe(row.method), row.count, metric, *numbers))
    return out.getvalue()


def records(rows: Sequence[MetricRow]) -> list[dict[str, Any]]:
    """The rows as plain values for JSON."""
    return [
        {
            "model": row.model,
            "method": row.method,
            "photographs": row.count,
            "metrics": row.metrics,
            "intervals": {name: list(span) for name, span in row.intervals.items()},
        }
        for row in rows
    ]


def chart(rows: Sequence[MetricRow], title: str = "") -> bytes:
    """Dots with intervals, one panel a metric, as PNG bytes; controls are grey."""
    from camcli.render.plot_fonts import written
    from camcli.render.plots import new_figure, png, set_title, style
    from camcli.render.theme import LIGHT

    shown = [row for row in rows if row.metrics and row.method != CLASSIFICATION]
    metrics = [m for _, names, _ in groups(shown) for m in names]
    columns = min(4, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = new_figure(2.1 + 2.3 * columns, lines * (0.75 + 0.24 * len(shown)) + 0.4)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for place, panel in enumerate(axes.flat):
        if place >= len(metrics):
            panel.set_axis_off()
            continue
        metric = metrics[place]
        for y, row in enumerate(shown):
            if metric not in row.metrics:
                continue
            colour = LIGHT["neutral" if row.method in (*CONTROLS, "random") else "link"]
            value = row.metrics[metric]
            if metric in row.intervals:
                panel.plot(row.intervals[metric], (y, y), color=colour, lw=1.4, alpha=0.6)
            panel.plot(value, y, "o", ms=4.5, color=colour)
        # How small the heat is does not say whether it is right.
        good = "smaller" if metric in FORM else "better"
        arrow = f"{'lower' if metric in LOWER else 'higher'} is {good}"
        panel.set_title(metric, fontsize=9)
        panel.set_xlabel(arrow)
        panel.set_yticks(range(len(shown)), [written(name_of(row)) for row in shown])
        panel.set_ylim(len(shown) - 0.4, -0.6)
        style(panel, grid="x")
        panel.xaxis.label.set_fontsize(7)
        panel.tick_params(axis="x", labelsize=7)
        panel.tick_params(axis="y", length=0, labelsize=8, labelcolor=LIGHT["text"])
    if title:
        set_title(figure, [written(title)])
    return png(figure)


def verdicts(checks: Sequence[MetricRow]) -> list[str]:
    """For each network and method in plain words, whether a random head destroys its map."""
    lines = []
    for model in dict.fromkeys(row.model for row in checks):
        rows = {row.method: row.metrics for row in checks if row.model == model}
        head = next((m for m in rows[UNRELATED] if m.startswith("rank@")), None)
        if head is None:
            continue
        floor = rows[UNRELATED][head]
        for method, metrics in rows.items():
            if method in (UNRELATED, "random") or head not in metrics:
                continue
            fact = f"({metrics[head]:.2f}; unrelated maps: {floor:.2f})"
            lines.append(
                f"{method} ({model}): NOT destroyed by a random head {fact}. It does not show "
                "what speaks for one class."
                if is_kept(metrics[head], floor)
                else f"{method} ({model}): destroyed by a random head {fact}."
            )
    return lines


def sanity_markdown(checks: Sequence[MetricRow]) -> str:
    """The sanity checks as Markdown; nothing without rows."""
    parts = []
    for heading, metrics, rows, hint in sanity_tables(checks):
        lines = [
            f"\n### {heading}\n",
            f"{hint[0].upper()}{hint[1:]}.\n",
            "| method | " + " | ".join(_escaped(m) for m in metrics) + " |",
            "| --- |" + " --- |" * len(metrics),
        ]
        for row in rows:
            cells = " | ".join(cell(row, m) for m in metrics)
            lines.append(f"| {_escaped(row.method)} | {cells} |")
        parts.append("\n".join(lines) + "\n")
    if checks:
        parts.append("\n" + "".join(f"- {_escaped(line)}\n" for line in verdicts(checks)))
    return "".join(parts)


def report(
    rows: Sequence[MetricRow],
    checks: Sequence[MetricRow],
    predictions: dict[str, Any],
    advice: Sequence[Advice] = (),
    adapted: Mapping[str, Any] | None = None,
    missing: Sequence[str] = (),
) -> str:
    """Everything as Markdown.

    Args:
        rows: of the comparison.
        checks: of the sanity check.
        predictions: `Predictions.record` by network.
        advice: the verdict on each network.
        adapted: how well heads got used to photographs without patches, by network.
        missing: what was not measured, or not to its end, which is said first.
    """
    not_all = "".join(f"- {_escaped(line)}\n" for line in missing)
    heads = "".join(f"- {_escaped(line)}\n" for line in heads_told(adapted or {}))
    verdict = "".join(
        f"\n### {_escaped(one.lines[0])}\n\n"
        + "".join(f"- {_escaped(line)}\n" for line in one.lines[1:])
        for one in advice
    )
    return (
        (f"**Not everything was measured:**\n\n{not_all}\n" if not_all else "")
        + markdown(rows)
        + (f"\n{heads}" if heads else "")
        + confusion_markdown(predictions)
        + sanity_markdown(checks)
        + verdict
    )


def save(
    out: Path,
    rows: Sequence[MetricRow],
    checks: Sequence[MetricRow],
    record: dict[str, Any],
    advice: Sequence[Advice] = (),
    losses: Losses | None = None,
    *,
    pictures: bool = True,
) -> tuple[str, ...]:
    """Write CSV, Markdown, JSON and pictures, each whole or not at all; those of before go.

    Args:
        out: folder, made if needed.
        rows: of the comparison.
        checks: of the sanity check.
        record: what else the JSON says; its ``predictions`` are drawn.
        advice: the verdict on each network.
        losses: told of a picture that could not be drawn, which costs itself alone.
        pictures: whether they are drawn, which takes a second or more.

    Returns:
        The names of the files.

    Raises:
        CamcliError: it cannot be written.
    """
    losses = Losses() if losses is None else losses
    drawn: dict[str, bytes | str] = {}
    if pictures and any(row.metrics for row in rows if row.method != CLASSIFICATION):
        with losses.only("chart"):
            drawn["results.png"] = chart(rows, PARTIAL if record.get("partial") else "")
    if pictures:
        with losses.only("picture of the confusion matrix"):
            drawn.update(confusion_pictures(record["predictions"]))
    record = {**record, "rows": records(rows), "sanity": records(checks)}
    if losses.sentences:
        record["lost"] = losses.sentences
    record["verdicts"] = verdicts(checks)
    record["about_heads"] = heads_told(record.get("adapted_heads") or {})
    record["against_centre_box"] = [
        {**asdict(each), "sentence": each.sentence()} for each in standings(rows)
    ]
    missing = [*record.get("partial", ()), *record.get("lost", ())]
    table = PARTIAL_TABLE if record.get("partial") else TABLE
    files: dict[str, bytes | str] = {
        RECORD: "",  # first: it says whose the others are
        table: csv_text([*rows, *checks]),
        "results.md": report(
            rows, checks, record["predictions"], advice, record.get("adapted_heads"), missing
        ),
        **drawn,
    }
    record = {KIND: "evaluate", LISTED: list(files), **record}
    files[RECORD] = json.dumps(record, indent=1)
    try:
        # Those of before, with --overwrite: `check_out` found no other ones.
        put_together(out, files, {*FILES, *pictures_in(out)})
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}.") from error
    return tuple(files)
