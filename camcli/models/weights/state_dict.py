"""Which tensors of a file are a network's: taken out of their wrappers, and matched by name.

Training scripts wrap a state dict in others (``state_dict``, ``model``, ``model_ema``), and what
they wrapped the network in leaves its name in front of every tensor's (``module.``, ``_orig_mod.``,
``model.backbone.``). No list of such words decides here. Every mapping in the file that has tensors
is a candidate, and whatever stands before the network's own names is a prefix, if with it taken off
all of the network's tensors are there with the right shapes. What is left over is dropped and
named, unless it belongs in the middle of the network: then it is another network's.

Both steps are pure: `unwrap` looks at what was loaded, `match` at names and shapes.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from camcli.errors import CamcliError, UsageError
from camcli.models.weights.mismatch import differences, listed, other_classes
from camcli.models.weights.names_beside import names_beside
from camcli.models.weights.views import COUNTER, Candidate, Renaming, views_of
from camcli.printable import counted

__all__ = [
    "COUNTER", "Candidate", "Candidates", "Match", "head_rows", "is_average", "match", "unwrap",
]  # fmt: skip

_DEEPEST = 8
_NAMED = 2
_MOST = 64
# Averages of the weights: taken only when asked for, or when there is nothing else.
_AVERAGE = re.compile(r"(?:^|[._])(?:ema|avg|averaged?|swa|teacher|momentum|shadow)(?:[._]|$)")


@dataclass(frozen=True)
class Candidates:
    """All that a file has to offer.

    Attributes:
        origin: the file, for messages.
        each: in the order of the file.
        names: what may be the names of classes in it: where each is, and the names.
    """

    origin: str
    each: tuple[Candidate, ...]
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def named(self, key: str) -> tuple[Candidate, ...]:
        """The candidates that a user may mean by `key`: the whole path, or its end."""
        return tuple(c for c in self.each if c.key == key or c.key.endswith(f".{key}"))

    def classes(self, outputs: int) -> tuple[tuple[str, ...] | None, str]:
        """The names that the file has for a network's outputs, one each; of one output, two.

        Returns:
            The names, or None; and what a user should know of them, in one line, or "".
        """
        for key, names in self.names:
            if len(names) == max(outputs, 2):
                return names, f"{self.origin}: its classes are named as its {key!r} says."
        return None, ""

    def largest(self) -> Candidate:
        """The candidate with most tensors, the first of them."""
        return max(self.each, key=lambda candidate: len(candidate.tensors))


@dataclass(frozen=True)
class Match:
    """Tensors that are a network's.

    Attributes:
        state: by the network's names.
        key: what chooses them in `match`; empty for a file's only ones at its top.
        dropped: names in the file of what was left out beside them.
        others: the keys of other sets that would fit as well.
        note: what a user should know of the choice, in one line; empty if there was none.
    """

    state: Mapping[str, Tensor]
    key: str
    dropped: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    note: str = ""


def unwrap(loaded: object, origin: str) -> Candidates:
    """The mappings with tensors within what a file held, at any depth.

    Args:
        loaded: what `camcli.models.weights.opening.open_weights` returned.
        origin: the file, for messages.

    Raises:
        CamcliError: there are no tensors by name; the message says what there is instead.
    """
    found: list[Candidate] = []
    seen: set[int] = set()

    def walk(value: object, key: str, depth: int) -> None:
        if isinstance(value, nn.Module):  # a whole one, in a file that is trusted
            value = value.state_dict()
        if not isinstance(value, (Mapping, list, tuple)) or id(value) in seen or depth > _DEEPEST:
            return
        seen.add(id(value))
        if isinstance(value, Mapping):
            tensors = OrderedDict(
                (n, t) for n, t in value.items() if isinstance(n, str) and _plain(t)
            )
            if tensors:
                # Which layout the modules had; torchvision's MNASNet asks for it.
                tensors._metadata = getattr(value, "_metadata", None)  # type: ignore[attr-defined]
                found.append(Candidate(key, tensors))
            items = [(str(name), part) for name, part in value.items()]
        else:
            items = [(str(place), part) for place, part in enumerate(value[:100])]
        for name, part in items:
            walk(part, f"{key}.{name}" if key else name, depth + 1)

    walk(loaded, "", 0)
    if found:
        return Candidates(origin, tuple(found), names_beside(loaded))
    if not isinstance(loaded, Mapping):
        raise CamcliError(
            f"{origin} holds a {type(loaded).__name__}, not tensors by name: save "
            "`model.state_dict()`."
        )
    keys = ", ".join(repr(str(key)[:40]) for key in list(loaded)[:3])
    has = f" (it has {keys})" if keys else ""
    raise CamcliError(f"{origin} holds no tensors by name{has}: save `model.state_dict()`.")


def _plain(value: object) -> bool:
    """A tensor whose numbers are in memory, one by one."""
    return isinstance(value, Tensor) and not (
        value.is_meta or value.is_sparse or value.is_quantized or value.is_nested
    )


def match(
    candidates: Candidates,
    module: nn.Module | Mapping[str, Tensor],
    *,
    model: str = "the network",
    key: str | None = None,
    heads: Collection[str] = (),
    optional: tuple[str, ...] = (),
) -> Match:
    """Find a network's tensors.

    Args:
        candidates: from `unwrap`.
        module: the network, or its state dict; on any device, also ``meta``: only names and shapes
            are looked at.
        model: what to call it in messages.
        key: which of several sets to take: the path of its mapping in the file, or the end of that,
            or the prefix of its names.
        heads: names of tensors that may have any number of rows, one a class.
        optional: beginnings of names that may be left over in the middle of the network.

    Raises:
        UsageError: nothing fits; the message names up to three tensors and the likely cause. Or
            there is nothing under `key`.
    """
    own = module.state_dict() if isinstance(module, nn.Module) else module
    views = _choices(candidates, key, own, frozenset(heads), optional)
    if not views:
        known = ", ".join(repr(c.key) for c in candidates.each[:8] if c.key) or "none, all at once"
        raise UsageError(
            f"--weights-key {key}: {candidates.origin} has no tensors under that; it has {known}."
        )
    fitting = _distinct([view for view in views if view.fits])
    if not fitting:
        nearest = max(views, key=Renaming.nearness)
        raise UsageError(differences(nearest, candidates.origin, model))
    best = min(fitting, key=lambda view: _order(view, fitting))
    once = Counter(view.candidate.key for view in fitting)
    keys = {id(v): v.candidate.key if once[v.candidate.key] == 1 else v.key for v in fitting}
    others = tuple(keys[id(view)] for view in fitting if view is not best)
    found = Match(best.state(), keys[id(best)], best.dropped(), others)
    return replace(found, note=_note(best, candidates, found, bool(key)))


def _choices(
    candidates: Candidates,
    key: str | None,
    own: Mapping[str, Tensor],
    heads: frozenset[str],
    optional: tuple[str, ...],
) -> list[Renaming]:
    """All views that `key` allows."""
    asked = key.strip(".") if key else ""
    # An optimizer's state has as many mappings as the network has tensors, each with a few.
    sizes = sorted((len(candidate.tensors) for candidate in candidates.each), reverse=True)
    least = sizes[_MOST] if len(sizes) > _MOST else 0
    views = [
        view
        for candidate in candidates.each
        if len(candidate.tensors) > least
        for view in views_of(candidate, own, heads, optional)
    ]
    if not asked:
        return views
    whole = [v for v in views if asked in (v.key, v.candidate.key, v.prefix.strip("."))]
    return whole or [v for v in views if f".{v.key}.".endswith(f".{asked}.") or v.ends(asked)]


def is_average(key: str) -> bool:
    """Whether weights are an average of others, by where they are in a file."""
    return bool(_AVERAGE.search(key))


def _order(view: Renaming, all_of_them: list[Renaming]) -> tuple[bool, bool, bool, int]:
    """Weights before their average, and names as they are before others."""
    return (
        is_average(view.key),
        bool(view.prefix),
        bool(view.added),
        all_of_them.index(view),
    )


def _distinct(views: list[Renaming]) -> list[Renaming]:
    """Views of different tensors: one mapping under two keys is one choice."""
    kept: dict[tuple[int, ...], Renaming] = {}
    for view in views:
        state = view.state()
        kept.setdefault(tuple(sorted(id(tensor) for tensor in state.values())), view)
    return list(kept.values())


def _note(best: Renaming, candidates: Candidates, match: Match, asked: bool) -> str:
    """What was chosen and what was left out, in one line."""
    said = []
    others = match.others
    if others and not asked:
        taken = repr(match.key) if match.key else "the one at its top"
        said.append(
            f"holds {len(others) + 1} sets of weights that fit: {taken} is taken, and "
            f"--weights-key {' or '.join(others[:4])} takes "
            f"{'the other' if len(others) == 1 else 'another'}"
        )
    beside: dict[str, list[str]] = {}
    for candidate in candidates.each:
        # Who asked for one set knows that there are others.
        if not asked and candidate is not best.candidate and not _within(candidate.key, others):
            names = beside.setdefault(candidate.key.partition(".")[0], [])
            names += candidate.tensors
    # Of another set within the same mapping it is said above that it is there.
    inside = tuple(f"{key.removeprefix(f'{best.candidate.key}.')}." for key in others)
    dropped = [name for name in match.dropped if asked or not name.startswith(inside or ("\0",))]
    left = list(dropped)
    for key, names in beside.items():
        # At its top there are counters and the like, whose names say more than their number.
        few = not key and len(names) <= _NAMED
        left += names if few else [f"{key or 'its top'} ({counted(len(names), 'tensor')})"]
    if left:
        said.append(f"left out, since the network has no place for it: {listed(left)}")
    return f"{candidates.origin}: {'; '.join(said)}." if said else ""


def _within(key: str, keys: Collection[str]) -> bool:
    return any(other == key or other.startswith(f"{key}.") for other in keys)


def head_rows(
    candidates: Candidates, module: nn.Module | Mapping[str, Tensor], key: str | None = None
) -> int | None:
    """The number of classes of a file that differs from a network in nothing else, or None."""
    own = module.state_dict() if isinstance(module, nn.Module) else module
    for view in _choices(candidates, key, own, frozenset(), ()):
        rows = other_classes(view)
        if rows is not None:
            return rows[0]
    return None
