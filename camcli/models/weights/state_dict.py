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
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from camcli.errors import CamcliError, UsageError
from camcli.models.weights.mismatch import differences, listed, other_classes

_DEEPEST = 8
_MOST = 64
# Wrappers within a network's names, not only in front of them.
_WITHIN = re.compile(
    r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_module)\."
)
# Averages of the weights: taken only when asked for, or when there is nothing else.
_AVERAGE = re.compile(r"(?:^|[._])(?:ema|avg|averaged?|swa|teacher|momentum|shadow)(?:[._]|$)")
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Candidate:
    """A mapping within a file that has tensors.

    Attributes:
        key: where it is, with dots between the keys; empty for the file's top.
        tensors: by their names there.
    """

    key: str
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Candidates:
    """All that a file has to offer.

    Attributes:
        origin: the file, for messages.
        each: in the order of the file.
    """

    origin: str
    each: tuple[Candidate, ...]

    def named(self, key: str) -> tuple[Candidate, ...]:
        """The candidates that a user may mean by `key`: the whole path, or its end."""
        return tuple(c for c in self.each if c.key == key or c.key.endswith(f".{key}"))

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


@dataclass(frozen=True)
class _View:
    """A candidate seen with one prefix taken off, beside a network."""

    candidate: Candidate
    prefix: str
    mapped: Mapping[str, Tensor]
    outside: tuple[str, ...]
    own: Mapping[str, Tensor]
    heads: frozenset[str]
    optional: tuple[str, ...]
    added: str = ""
    missing: list[str] = field(init=False)
    wrong: list[str] = field(init=False)
    surplus: list[str] = field(init=False)
    spare: list[str] = field(init=False)

    def __post_init__(self) -> None:
        own, mapped = self.own, self.mapped
        missing = [n for n in own if n not in mapped and not n.endswith(COUNTER)]
        wrong = [n for n in own if n in mapped and not self._shaped(n)]
        surplus: list[str] = []
        spare: list[str] = []
        tops = {name.partition(".")[0] for name in own}
        for name, tensor in mapped.items():
            if name not in own:
                (spare if self._is_spare(name, tensor, tops) else surplus).append(name)
        for name, value in zip(
            ("missing", "wrong", "surplus", "spare"), (missing, wrong, surplus, spare), strict=True
        ):
            object.__setattr__(self, name, value)

    def _shaped(self, name: str) -> bool:
        found, wanted = self.mapped[name].shape, self.own[name].shape
        if name in self.heads:
            return len(found) == len(wanted) and found[1:] == wanted[1:] and found[0] > 0
        return found == wanted

    def _is_spare(self, name: str, tensor: Tensor, tops: Collection[str]) -> bool:
        """Whether a tensor without a place says nothing against these being the network's.

        Counters and tables hold no weights, and what stands beside the network (a criterion, a
        projection that only helped training) is no part of it. But a layer more in the middle, or
        one more of a numbered sequence, makes another network.
        """
        if name.startswith(self.optional) or tensor.numel() <= 1:
            return True
        if not tensor.is_floating_point():
            return True
        top = name.partition(".")[0]
        return top not in tops and not top.isdigit()

    @property
    def fits(self) -> bool:
        return not (self.missing or self.wrong or self.surplus)

    @property
    def key(self) -> str:
        return ".".join(part for part in (self.candidate.key, self.prefix.strip(".")) if part)

    def ends(self, key: str) -> bool:
        return self.candidate.key.endswith(f".{key}")

    @property
    def named(self) -> int:
        """How many of the network's tensors are there by name."""
        return sum(name in self.mapped for name in self.own if not name.endswith(COUNTER))

    def nearness(self) -> tuple[int, bool, bool, int]:
        """Greater for what a user more likely meant; few names in common are chance."""
        named = self.named if 2 * self.named >= len(self.own) else 0
        return named, not self.prefix, not self.added, len(self.mapped)

    def state(self) -> dict[str, Tensor]:
        return {self.added + n: t for n, t in self.mapped.items() if n in self.own}

    def dropped(self) -> tuple[str, ...]:
        return (*self.outside, *(self.prefix + name for name in self.spare))


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
        return Candidates(origin, tuple(found))
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
        nearest = max(views, key=_View.nearness)
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
) -> list[_View]:
    """All views that `key` allows."""
    asked = key.strip(".") if key else ""
    # An optimizer's state has as many mappings as the network has tensors, each with a few.
    sizes = sorted((len(candidate.tensors) for candidate in candidates.each), reverse=True)
    least = sizes[_MOST] if len(sizes) > _MOST else 0
    views = [
        view
        for candidate in candidates.each
        if len(candidate.tensors) > least
        for view in _views(candidate, own, heads, optional)
    ]
    if not asked:
        return views
    whole = [v for v in views if asked in (v.key, v.candidate.key, v.prefix.strip("."))]
    return whole or [v for v in views if f".{v.key}.".endswith(f".{asked}.") or v.ends(asked)]


def _views(
    candidate: Candidate,
    own: Mapping[str, Tensor],
    heads: frozenset[str],
    optional: tuple[str, ...],
) -> Iterator[_View]:
    """A candidate as it is, with each prefix taken off that makes it the network's, and cleaned.

    A network that wraps another puts a name of its own in front (``self.net = resnet18()``), which
    a file of the inner network's lacks: so the network's common prefix is taken off, too.
    """
    tensors = candidate.tensors
    clean = {_WITHIN.sub("", name): tensor for name, tensor in tensors.items()}
    spellings = [tensors]
    if len(clean) == len(tensors) and clean.keys() != tensors.keys():
        spellings.append(clean)
    for added in ("", *_common(own)):
        inner = {n.removeprefix(added): t for n, t in own.items()} if added else own
        inner_heads = frozenset(name.removeprefix(added) for name in heads)
        for spelling in spellings:
            for prefix in _prefixes(spelling, inner):
                mapped = {
                    n.removeprefix(prefix): t for n, t in spelling.items() if n.startswith(prefix)
                }
                outside = tuple(n for n in spelling if not n.startswith(prefix))
                yield _View(
                    candidate, prefix, mapped, outside, inner, inner_heads, optional, added
                )  # fmt: skip


def _prefixes(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """What stands before the network's names: nothing first, then the shorter ones first."""
    names = list(own)
    anchors = {names[0], names[-1], max(names, key=len)} if names else set()
    found = {
        name[: -len(anchor)]
        for anchor in anchors
        for name in tensors
        if name.endswith(f".{anchor}")
    }  # fmt: skip
    return ["", *sorted(found, key=lambda prefix: (len(prefix), prefix))[:16]]


def _common(own: Mapping[str, Tensor]) -> list[str]:
    """The prefixes that all of a network's names share: ``net.``, ``net.body.``."""
    found: list[str] = []
    names = list(own)
    while names and "." in names[0][len(found[-1]) if found else 0 :]:
        start = len(found[-1]) if found else 0
        prefix = names[0][: names[0].index(".", start) + 1]
        if not all(name.startswith(prefix) and len(name) > len(prefix) for name in names):
            break
        found.append(prefix)
    return found


def is_average(key: str) -> bool:
    """Whether weights are an average of others, by where they are in a file."""
    return bool(_AVERAGE.search(key))


def _order(view: _View, all_of_them: list[_View]) -> tuple[bool, bool, bool, int]:
    """Weights before their average, and names as they are before others."""
    return (
        is_average(view.key),
        bool(view.prefix),
        bool(view.added),
        all_of_them.index(view),
    )


def _distinct(views: list[_View]) -> list[_View]:
    """Views of different tensors: one mapping under two keys is one choice."""
    kept: dict[tuple[int, ...], _View] = {}
    for view in views:
        state = view.state()
        kept.setdefault(tuple(sorted(id(tensor) for tensor in state.values())), view)
    return list(kept.values())


def _note(best: _View, candidates: Candidates, match: Match, asked: bool) -> str:
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
    beside = Counter[str]()
    for candidate in candidates.each:
        # Who asked for one set knows that there are others.
        if not asked and candidate is not best.candidate and not _within(candidate.key, others):
            beside[candidate.key.partition(".")[0] or "top level"] += len(candidate.tensors)
    left = [*match.dropped, *(f"{key} ({count} tensors)" for key, count in beside.items())]
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
