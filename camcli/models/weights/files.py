"""Reading weight files, without running them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import ModuleType

from torch import Tensor

from camcli.errors import CamcliError, UsageError
from camcli.models.weights.formats import inside
from camcli.models.weights.opening import open_trusted, open_weights
from camcli.models.weights.places import sha256_of
from camcli.models.weights.state_dict import Candidate, Candidates, unwrap


def read_candidates(
    path: Path,
    expected: str | None = None,
    *,
    trust: bool = False,
    stand_for_main: ModuleType | None = None,
) -> tuple[Candidates, str]:
    """The tensors of a weight file, without running any code that it may hold.

    Args:
        path: a ``.safetensors`` file, or what ``torch.save`` wrote.
        expected: the sha256, or its first digits, that the file must have.
        trust: whether it is opened as pickle does it, which RUNS THE CODE that it names.
        stand_for_main: then, where the classes of the script that made it are.

    Returns:
        All mappings from names to tensors in it, for `camcli.models.weights.state_dict.match`, and
        the file's sha256.

    Raises:
        UsageError: there is no such file.
        CamcliError: it cannot be read, is damaged, of another kind, or is not the one expected.
    """
    if not path.is_file():
        raise UsageError(f"There is no weight file {path}." + inside(path))
    try:
        digest = sha256_of(path) if expected else ""
    except OSError as error:
        raise CamcliError(f"{path} cannot be read: {error.strerror or error}.") from error
    if expected and not digest.startswith(expected):
        raise CamcliError(
            f"{path} is damaged: its sha256 begins with {digest[: len(expected)]} and should be "
            f"{expected}; delete it and fetch it again."
        )
    # A file that is no weight file, however large, is known by its head.
    loaded = open_trusted(path, stand_for_main) if trust else open_weights(path)
    found = unwrap(loaded, str(path))
    return found, digest or sha256_of(path)


def read_state(path: Path, expected: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file that is known to hold one network's, by their names in it.

    Args:
        path: as for `read_candidates`; so are `expected` and what is raised.
        expected: the sha256, or its first digits.

    Returns:
        The file's largest mapping of tensors, on the CPU, and its sha256.
    """
    found, digest = read_candidates(path, expected)
    return taken(found.largest()), digest


def taken(candidate: Candidate) -> dict[str, Tensor]:
    """A candidate's tensors as a state dict, which knows the layout that its modules had."""
    state = OrderedDict(candidate.tensors)
    if metadata := getattr(candidate.tensors, "_metadata", None):
        state._metadata = metadata  # type: ignore[attr-defined]
    return state
