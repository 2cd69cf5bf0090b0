"""A whole network that ``torch.save(model)`` or pickle wrote: opening it runs its code.

Only where the user says that the file is to be trusted. Nothing here can make it safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import nn

from camcli.errors import UsageError
from camcli.models.forms.registry import kind_of, path_of
from camcli.models.forms.torch_file import build as build_of_tensors
from camcli.models.loading.builder import BuiltModel, provenance
from camcli.models.loading.own.file import looking_beside
from camcli.models.loading.own.module import of_module
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.names_beside import names_beside
from camcli.models.weights.opening import open_trusted
from camcli.models.weights.pickles import check_trusted, network_in
from camcli.models.weights.places import sha256_of
from camcli.models.weights.state_dict import Candidates, is_average, unwrap
from camcli.printable import counted

_DEEPEST = 4
# Where trainers and exported learners keep their network.
_ATTRIBUTES = ("model", "net", "network", "module", "model_")


def build(asked: AskedModel) -> BuiltModel:
    """The network that a pickled file holds.

    Raises:
        UsageError: it is not trusted, its code is not here, or it holds no network.
        CamcliError: it is damaged, or its network fails.
    """
    path = path_of(asked.name)
    check_trusted(path, network_in(path, kind_of(path)) or "what it names", asked.trust_pickle)
    digest = sha256_of(path)
    with looking_beside(path.parent):
        loaded = open_trusted(path)
    found = dict(networks_in(loaded))
    if not found:
        unwrap(loaded, str(path))  # says what it holds in place of tensors
        return build_of_tensors(asked)
    key = _chosen(asked, found)
    module = found[key].cpu()
    what = type(module)
    where = f" under {key!r}" if key else ""
    notes = [f"{path.name}: a pickled network{where}, {what.__module__}.{what.__qualname__}."]
    others = [other for other in found if other != key]
    if others and not asked.weights_key:
        notes.append(
            f"{path.name} holds {counted(len(found), 'network')}: {key!r} is taken, and "
            f"--weights-key {' or '.join(others[:4])} takes "
            f"{'the other' if len(others) == 1 else 'another'}."
        )
    made = provenance(asked.name, str(path), digest, "user", asked.weights_key, notes)
    return of_module(module, asked, made, Candidates(str(path), (), names_beside(loaded)))


def networks_in(loaded: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """The networks within what a file held, by where they are; an empty place is all of it.

    Args:
        loaded: what was opened.
        key: where that is.
        depth: how deep.
    """
    if isinstance(loaded, nn.Module):
        if any(True for _ in loaded.parameters()):  # a loss function is a module, too
            yield key, loaded
        return
    if depth > _DEEPEST:
        return
    parts: list[tuple[str, object]] = []
    if isinstance(loaded, Mapping):
        parts = [(str(name), value) for name, value in loaded.items()]
    elif isinstance(loaded, list | tuple):
        parts = [(str(place), value) for place, value in enumerate(loaded[:100])]
    elif not isinstance(loaded, str | bytes | int | float | type):
        own = getattr(loaded, "__dict__", {})
        parts = [(name, own[name]) for name in _ATTRIBUTES if name in own][:1]
    for name, part in parts:
        yield from networks_in(part, f"{key}.{name}" if key else name, depth + 1)


def _chosen(asked: AskedModel, found: Mapping[str, nn.Module]) -> str:
    """Which of several networks is meant: what `asked.weights_key` says, or no average.

    Raises:
        UsageError: there is none under that key.
    """
    wanted = asked.weights_key
    if wanted:
        for key in found:
            if key == wanted or key.endswith(f".{wanted}"):
                return key
        raise UsageError(
            f"--weights-key {wanted}: {Path(asked.name).name} has no network under that; it has "
            f"{', '.join(repr(key) for key in found)}."
        )
    return min(found, key=lambda key: is_average(key))
