"""What an evaluation could not measure: a sentence for each, and the rest goes on.

An evaluation works for minutes or hours. What fails in it (a measure of one method, a network, a
picture of the results) costs itself and nothing of what was found before or beside it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from camcli.errors import DEBUG, CamcliError, reason
from camcli.printable import printable

MAPS = "maps"
"""What is lost, in words, of a method that fails where others make a map."""


def why(error: Exception) -> str:
    """What was wrong, for the end of a sentence."""
    return printable(str(error).rstrip(".") if isinstance(error, CamcliError) else reason(error))


class Losses:
    """Collects what could not be measured.

    Attributes:
        sentences: one for each, in the order in which they happened.
    """

    def __init__(self, tell: Callable[[str], object] = lambda sentence: None) -> None:
        """`tell` hears of each at once: whoever waits may want to end it and mend the cause."""
        self.sentences: list[str] = []
        self._tell = tell
        self._gone: set[tuple[str, str, str]] = set()

    def __len__(self) -> int:
        return len(self.sentences)

    def has(self, what: str, method: str = "", *, of: str = "") -> bool:
        """Whether this was lost before, and so is not tried again with the same network.

        Args:
            what: was to be measured, as words.
            method: of which; what was lost of all is lost of each.
            of: the network.
        """
        return (of, what, method) in self._gone or (of, what, "") in self._gone

    @contextmanager
    def only(self, what: str, method: str = "", *, of: str = "", at: str = "") -> Iterator[None]:
        """Whatever is raised inside costs this alone.

        Args:
            what: is measured or made, as words.
            method: of which; empty for all.
            of: the network.
            at: the photograph, where it is one.
        """
        try:
            yield
        except Exception as error:
            self.add(error, what, method, of=of, at=at)

    def add(
        self, error: Exception, what: str, method: str = "", *, of: str = "", at: str = ""
    ) -> None:
        """The same, of what was raised elsewhere."""
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        self._gone.add((of, what, method))
        start = f"{of}: no {what}" if of else f"No {what}"
        whose = f" of {method}" if method else ""
        where = f" (at {printable(at)})" if at else ""
        self.say(f"{start}{whose}{where}: {why(error)}.")

    def say(self, sentence: str) -> None:
        """What was lost, in words of its own."""
        self.sentences.append(sentence)
        self._tell(sentence)
