"""What a user says of preprocessing, in whatever form: words, a file, a dict, a transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import applied, of_values
from camcli.data.decode.transforms import AsItIs, of_transform
from camcli.errors import UsageError

Said = str | Path | Preprocess | Mapping[str, Any] | Callable[..., Any]
"""Words or a file (`camcli.data.decode.preprocess_words.applied`), a `Preprocess`, its values, or a
transform from a PIL picture to a tensor."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was said.

    Attributes:
        preprocess: the preprocessing.
        sized: whether the size of the input was said.
        coloured: whether mean and std were.
    """

    preprocess: Preprocess
    sized: bool
    coloured: bool


def read_said(said: Said, own: Preprocess) -> Reading:
    """What a user says, over what is known of the network.

    Args:
        said: see `Said`.
        own: the network's own.

    Raises:
        UsageError: it cannot be read.
    """
    if isinstance(said, Preprocess):
        try:
            if not isinstance(said, AsItIs):
                said.check()
        except ValueError as error:
            raise UsageError(f"The preprocess cannot be: {error}.") from error
        return Reading(said, True, True)
    # What is run as it is has no values that could be changed.
    own = own if type(own) is Preprocess else Preprocess()

    def read(over: Preprocess) -> tuple[Preprocess, bool]:
        if isinstance(said, str | Path):
            return applied(said, over), True
        if isinstance(said, Mapping):
            return of_values(said, over), True
        return of_transform(said, over)

    made, _ = read(own)
    if isinstance(made, AsItIs):
        return Reading(made, True, True)
    # What is the same over two networks that share nothing is said.
    small = replace(own, size=1, width=None, resize=None, mean=(0.0,) * 3, std=(1.0,) * 3)
    one, _ = read(small)
    two, _ = read(replace(small, size=2, mean=(0.25,) * 3, std=(2.0,) * 3))
    return Reading(made, one.size == two.size, (one.mean, one.std) == (two.mean, two.std))
