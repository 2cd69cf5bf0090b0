"""A batch run on stderr: its progress, and its summary when it is over."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.cli.terminal.closing import tell_highlights
from camcli.cli.terminal.console import say, slow, stops_gently, warn
from camcli.cli.terminal.progress import TerminalListener
from camcli.data.sources.label_tables import Tabled
from camcli.ours import OVERLAYS
from camcli.printable import counted

if TYPE_CHECKING:
    from camcli.batch.run import Run
    from camcli.batch.summary.counts import Counts
    from camcli.batch.summary.highlights import Highlighter


def above(text: str) -> None:
    """One line on stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


class BatchListener(TerminalListener):
    """Speaks above a bar, if there is one; of what is only good to know not at all if `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__()
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            above(text)

    @contextmanager
    def slow(self, text: str) -> Iterator[None]:
        """Say what is going on, if it goes on for more than a second."""
        with slow(text, quiet=self.quiet):
            yield


def above_resumed(run: Run, *, retried: bool) -> None:
    """What becomes of the images that failed in the run that is resumed."""
    if run.again:
        above(
            f"{counted(run.again, 'image')} that failed "
            f"{'is' if run.again == 1 else 'are'} tried again."
        )
    failed = run.counts.failed
    if failed and retried:
        above(
            f"{counted(failed, 'image')} failed before and {'is' if failed == 1 else 'are'} not "
            "among the images now, so not tried again: beyond --limit, or no longer there."
        )
    elif failed:
        above(
            f"{counted(failed, 'image')} failed before and {'is' if failed == 1 else 'are'} not "
            "tried again: --retry-failed does that."
        )


def follow(run: Run, *, quiet: bool) -> Highlighter | None:
    """Run to the end, with a progress bar on stderr.

    Returns:
        What found out on the way what stands out; None where the table has to tell, as the run was
        begun before.
    """
    from camcli.batch.summary.highlights import Highlighter
    from camcli.cli.terminal.bars import bar

    highlighter = Highlighter(run.classifier.classes, run.classifier.output)

    with slow("Counting the images ...", quiet=quiet):
        total = None if quiet else run.total()
    if run.source.left_out and not quiet:
        say(run.source.left_out.note())
    with (
        stops_gently(run.stop.set),
        bar(total, unit="img", initial=run.counts.before, quiet=quiet) as shown,
    ):
        for result in run:
            if result.status == "error" and not quiet:
                shown.write(f"failed: {result.error}", file=sys.stderr)
            highlighter.add(result)
            shown.update()
    return None if run.counts.before else highlighter


def summarize(run: Run, out: Path, highlighter: Highlighter | None = None) -> None:
    """What came out of a run, in a few lines: how good it is, and what to look at first.

    Args:
        run: finished.
        out: its directory.
        highlighter: what `follow` returned; without one the table is read.
    """
    from camcli.batch.summary.highlights import highlights
    from camcli.cli.terminal.differences import tell_differences
    from camcli.models.classes.chance import chance_doubt
    from camcli.models.reference.compared import references_of

    c: Counts = run.counts
    if highlighter is None:
        with slow("Looking for what stands out ..."):
            rows, network = run.directory.rows(), run.classifier
            found = highlights(rows, network.classes, network.output, run.labels_found)
    else:
        found = highlighter.found(run.labels_found)
    parts = [counted(c.done, "image")]
    if c.before:
        parts.append(f"{c.before} of them from before")
    if c.failed:
        parts.append(f"{c.failed} failed")
    if c.empty:
        parts.append(f"{c.empty} with an empty map")
    say(", ".join(parts) + ".")
    if run.what.how.chosen:
        say(run.what.how.chosen)
    output, doubt = run.classifier.output, ""
    if references := references_of(run.classifier):
        tell_differences(run.directory.rows(), references)
    elif output.measures:
        _tell_values(run)
    elif c.labelled and output.multi_label:
        if run.labels_found:
            from camcli.batch.summary.label_summary import told

            say(f"{told(run.labels_found)} ({c.correct} of {c.labelled}).")
        else:
            say(f"exact match {c.correct / c.labelled:.4f} ({c.correct} of {c.labelled})")
        from camcli.batch.summary.label_notes import label_notes

        labels = (ref.label for ref in run.source if ref.label)
        for note in label_notes(labels, run.classifier.classes, run.source.labeller):
            say(note)
    elif c.labelled:
        say(f"accuracy {c.correct / c.labelled:.4f} ({c.correct} of {c.labelled})")
        doubt = chance_doubt(found.pairs, run.classifier.classes, run.classifier.provenance.notes)
        if doubt:
            warn(doubt)
        if c.foreign:
            say(_strangers(run))
    elif isinstance(run.source.labeller, Tabled) and not run.source.some_labels(1):
        table = run.source.labeller.table
        say(
            f"None of the images is in {table.path}, so there is no accuracy: its first path is "
            f"{_few(list(table.labels)[:1])}, and the first image {_few(_paths(run))}."
        )
    elif run.source.labelled and c.done > c.failed:
        classes = run.classifier.classes
        theirs, ours = _few(run.source.some_labels()), _few(classes[:3])
        unnamed = classes == tuple(map(str, range(len(classes))))
        say(
            "The images have labels, but none of them names a class of this network; no accuracy. "
            f"The first labels: {theirs}; the first classes: {ours}. "
            + ("--classes FILE names the classes, in the order of training." if unnamed
               else "--labels says where labels come from.")
        )  # fmt: skip
    if absent := _absent(run):
        say(absent)
    if not doubt:  # which comes first: it would make nonsense of all of it
        tell_highlights(found, output, labelled=c.labelled > 0)
    if c.drawn:
        say(f"Overlays: {out / OVERLAYS}" + (f" ({c.drawn} drawn)" if run.only else ""))


def _paths(run: Run) -> list[str]:
    return [ref.rel for ref in islice(run.source, 1)]


def _absent(run: Run) -> str:
    """How many images a table of labels says nothing of, where it knows some."""
    labeller = run.source.labeller
    if not isinstance(labeller, Tabled) or run.classifier.output.measures:
        return ""
    every = [ref.rel for ref in run.source if ref.label is None]
    if not every or not run.source.some_labels(1):
        return ""
    return (
        f"{counted(len(every), 'image')} without a row in {labeller.table.path}: "
        f"{_few(every[:3])}{' ...' if every[3:] else ''}."
    )


def _tell_values(run: Run) -> None:
    """From where to where the values go."""
    from camcli.batch.summary.value_summary import told
    from camcli.batch.tables.columns import value_columns
    from camcli.render.verdict import number

    names = run.classifier.classes
    columns = value_columns(names)
    ranges: dict[str, tuple[float, float, float, int]] = {}
    for row in run.directory.rows():
        for name, column in zip(names, columns, strict=True):
            if text := row.get(column):
                value = float(text)
                low, high, total, count = ranges.get(name, (value, value, 0.0, 0))
                ranges[name] = min(low, value), max(high, value), total + value, count + 1
    for name, (low, high, total, count) in list(ranges.items())[:10]:
        say(f"{name}: {number(low)} to {number(high)}, {number(total / count)} on average.")
    if run.values_found:
        for line in told(run.values_found).splitlines():
            say(line)
    elif isinstance(run.source.labeller, Tabled):
        say(
            "The labels are not measured against: that takes labels that are numbers, of several "
            "values a column of each one's name."
        )


def _strangers(run: Run) -> str:
    """Which labels are left out of the accuracy, and whether folders may be counted from 1."""
    from camcli.models.classes.label_index import label_index

    classes, number = run.classifier.classes, run.counts.foreign
    labels = dict.fromkeys(ref.label for ref in run.source if ref.label)
    names = [label for label in labels if label_index(label, classes) is None]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    text = (
        f"Not in the accuracy: {counted(number, 'image')} whose label names no class of this "
        f"network: {_few(names[:3])}{more}."
    )
    if str(len(classes)) in names and classes == tuple(map(str, range(len(classes)))):
        text += (
            f" Its classes are called 0 to {len(classes) - 1}: if the labels are counted from 1, "
            "the accuracy is wrong; --classes with a file of the names mends that."
        )
    return text


def _few(names: Sequence[str]) -> str:
    from camcli.printable import printable

    return ", ".join(f"'{printable(name)}'" for name in names)


def warn_if_nothing_drawn(run: Run) -> None:
    """Say why `--only` left no pictures: silence would look like a perfect network."""
    c: Counts = run.counts
    if not run.only or c.drawn or c.done == c.failed:
        return
    if run.only.strip() == "wrong" and not c.labelled:
        warn(
            "--only wrong drew nothing, as no image has a label that names a class of this "
            "network: --labels says where labels come from, --only 'below 0.6' needs none."
        )
    else:
        warn(f"--only {run.only.strip()!r} drew nothing: no result is like that.")
