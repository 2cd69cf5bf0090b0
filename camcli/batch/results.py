"""What `camcli.batch` returns: Results one after another, and a look at them in a notebook."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from camcli.batch.summary.counts import Counts
from camcli.printable import counted
from camcli.result import Result

KEPT = 12
"""Results that are kept for a notebook to show; all others are given away and forgotten."""


class ResultList(list[Result]):
    """Results, of which a notebook shows some."""

    def _repr_html_(self) -> str:
        from camcli.render.notebook import results_html

        counts = Counts()
        for each in self:
            counts.add(each.status, each.correct, drawn=False, label=each.ref.label)
        return results_html(self, _said(counts), KEPT)


class BatchResults(Iterator[Result]):
    """Results as they are made, one at a time, in bounded memory.

    A notebook shows how far it has come and the first of them.

    Example:
        >>> import camcli
        >>> for result in camcli.batch("photos", out="run"):          # doctest: +SKIP
        ...     print(result.ref.rel, result.pred)
        >>> camcli.batch("photos").all()                              # doctest: +SKIP
    """

    def __init__(self, results: Iterator[Result]) -> None:
        """Begin nothing yet.

        Args:
            results: is consumed as this is.
        """
        self._results, self._first, self._ended = results, ResultList(), False
        self.counts = Counts()

    def __iter__(self) -> BatchResults:
        return self

    def __next__(self) -> Result:
        try:
            result = next(self._results)
        except StopIteration:
            self._ended = True
            raise
        self.counts.add(
            result.status, result.correct, drawn=result.overlay is not None, label=result.ref.label
        )
        if len(self._first) < KEPT:
            self._first.append(result)
        return result

    def all(self) -> ResultList:
        """The Results that are left, in a list, which a notebook shows: for some hundreds."""
        return ResultList(self)

    def close(self) -> None:
        """Stop here: what was finished is kept, as when a run is interrupted."""
        if isinstance(self._results, Generator):
            self._results.close()

    def _repr_html_(self) -> str:
        from camcli.render.notebook import results_html

        if not self.counts.done:
            said = "Nothing is explained yet: iterate over it, or call .all()."
            return results_html([], said if not self._ended else "No images were left to explain.")
        return results_html(self._first, _said(self.counts, "" if self._ended else " so far"))


def _said(c: Counts, more: str = "") -> str:
    """All of them in a sentence."""
    words = [counted(c.done, "image") + more]
    if c.failed:
        words.append(f"{c.failed} failed")
    if c.labelled:
        words.append(f"accuracy {c.correct / c.labelled:.4f} ({c.correct} of {c.labelled})")
    beyond = f"; the first {KEPT} are shown" if c.done > KEPT else ""
    return ", ".join(words) + beyond + "."
