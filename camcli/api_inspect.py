"""The Python API: what a network is, as it lies on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.jobs.inspect import Inspected, InspectJob
from camcli.jobs.record import filled

if TYPE_CHECKING:
    from camcli.models.spec import AskedOutput

I = InspectJob("")  # noqa: E741 - one letter, as in the other parts of the API


def inspect(
    model: str,
    *,
    weights: str | Path | None = I.weights,
    weights_key: str | None = I.weights_key,
    classes: str | Path | Sequence[str] | None = I.classes,
    input_size: int | None = I.input_size,
    preprocess: str | None = I.preprocess,
    trust_pickle: bool = I.trust_pickle,
    output: AskedOutput = I.output,
    offline: bool = I.offline,
) -> Inspected:
    """What a file, a folder or a name is: form, classes, input, maps, the methods that work.

    Args:
        model: what `load_classifier` takes; so are the others.
        weights: a file with the network's weights, for a name and for code of one's own.
        weights_key: which of several sets of weights in the file.
        classes: class names, or a file of them.
        input_size: side of the input in pixels.
        preprocess: how it wants its pixels, in words.
        trust_pickle: whether code that the file names may run.
        output: what it returns; ``auto`` finds out.
        offline: never touch the network.

    Returns:
        What was found out; where it cannot be loaded, its ``error`` says why and what to do.

    Raises:
        UsageError: there is no such file, folder or name.
        CamcliError: the file is damaged, or nothing that is known.

    Example:
        >>> import camcli
        >>> camcli.inspect("best.pth").classes  # doctest: +SKIP
        ('cat', 'dog')
    """
    return filled(InspectJob, locals()).run()
