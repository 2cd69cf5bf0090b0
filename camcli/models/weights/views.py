"""A file's tensors seen beside a network's, with whatever stands before their names taken off."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

# Wrappers within a network's names, not only in front of them.
_WITHIN = re.compile(
    r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_module)\."
)
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
class Renaming:
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
        """Whether all of the network is there, and nothing that speaks against it."""
        return not (self.missing or self.wrong or self.surplus)

    @property
    def key(self) -> str:
        """Where it is in the file, with what was taken off."""
        return ".".join(part for part in (self.candidate.key, self.prefix.strip(".")) if part)

    def ends(self, key: str) -> bool:
        """Whether its place in the file ends in a key."""
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
        """The network's tensors, by its names."""
        return {self.added + n: t for n, t in self.mapped.items() if n in self.own}

    def dropped(self) -> tuple[str, ...]:
        """Names in the file of what was left out."""
        return (*self.outside, *(self.prefix + name for name in self.spare))


def views_of(
    candidate: Candidate,
    own: Mapping[str, Tensor],
    heads: frozenset[str],
    optional: tuple[str, ...],
) -> Iterator[Renaming]:
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
                yield Renaming(
                    candidate, prefix, mapped, outside, inner, inner_heads, optional, added
                )  # fmt: skip
                if prefix and (rest := _elsewhere(mapped, spelling, outside, inner)):
                    tensors = {**mapped, **{name: spelling[n] for name, n in rest.items()}}
                    beside = tuple(n for n in outside if n not in rest.values())
                    yield Renaming(
                        candidate, prefix, tensors, beside, inner, inner_heads, optional, added
                    )  # fmt: skip


def _elsewhere(
    mapped: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    outside: Collection[str],
    own: Mapping[str, Tensor],
) -> dict[str, str]:
    """What a network lacks under one prefix, where it lies under another, such as ``head.``.

    Returns:
        The file's names by the network's; empty unless all are there, each once.
    """
    missing = [name for name in own if name not in mapped and not name.endswith(COUNTER)]
    if not missing or 2 * len(missing) > len(own):
        return {}
    found: dict[str, str] = {}
    for name in missing:
        places = [n for n in outside if n == name or n.endswith(f".{name}")]
        if len(places) != 1 or tensors[places[0]].ndim != own[name].ndim:
            return {}
        found[name] = places[0]
    return found


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
