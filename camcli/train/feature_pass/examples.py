"""The images of a run, and what a backbone says about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from camcli.data.datasets.dataset import Item
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, UsageError
from camcli.printable import counted
from camcli.train.feature_pass.cache import PoolingCache
from camcli.train.feature_pass.features import ImageView, extract, hash_files
from camcli.train.feature_pass.sight import Sight
from camcli.train.processes import ALONE, Team
from camcli.train.progress import Listener

TOLD = 5
"""So many unreadable images of one look are told in a line each; a table has them all."""


@dataclass
class Examples:
    """The images of one split.

    Attributes:
        items: N images and targets.
        contents: SHA-256 of each file, in hex.
        labels: C, where an image has any number of them; 0 where each is of one class.
        measured: how many values images have, where they have no class; else 0.
        scale: of values: from the numbers themselves to what is learned, once that is known.
    """

    items: list[Item]
    contents: list[str]
    labels: int = 0
    measured: int = 0
    scale: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        labels: int = 0,
        listener: Listener | None = None,
        *,
        measured: int = 0,
    ) -> Examples:
        """Reads and hashes the files; `listener` hears how many."""
        with (listener or Listener()).bar("read", len(items), "file") as bar:
            contents = hash_files([item.ref for item in items], bar.advance)
        return cls(list(items), contents, labels, measured)

    @property
    def refs(self) -> list[ImageRef]:
        """Of the N files."""
        return [item.ref for item in self.items]

    @property
    def targets(self) -> Tensor:
        """(N,) int64; of labels (N, C) float32, as `of_labels` gives them.

        Of values (N, C): float32 by `scale`, float64 and as they are without; NaN for unknown.
        """
        if self.measured:
            values = torch.tensor([item.values for item in self.items], dtype=torch.float64)
            values = values.reshape(len(self.items), self.measured)
            return values if self.scale is None else self.scale(values)
        if self.labels:
            return of_labels(self.items, self.labels)
        return torch.tensor([item.target for item in self.items], dtype=torch.int64)

    def keep(self, wanted: Sequence[bool]) -> None:
        """Drop the others."""
        self.items = [x for x, keep in zip(self.items, wanted, strict=True) if keep]
        self.contents = [x for x, keep in zip(self.contents, wanted, strict=True) if keep]


def of_labels(items: Sequence[Item], count: int) -> Tensor:
    """Labels as (N, C) float32: 1 for those that an image has, 0 for others, NaN for unknown."""
    targets = torch.zeros(len(items), count)
    for row, item in zip(targets, items, strict=True):
        row[list(item.unknown)] = torch.nan
        row[list(item.labels)] = 1
    return targets


class Looker:
    """Looks at images with a backbone, once each, and says which cannot be read.

    Attributes:
        skipped: one sentence for each unreadable image, by relative path.
    """

    def __init__(
        self,
        sight: Sight,
        cache: PoolingCache | None,
        listener: Listener,
        team: Team = ALONE,
    ) -> None:
        self._team = team
        self._sight = sight
        self._cache = cache
        self._listener = listener
        self.skipped: dict[str, str] = {}

    def look(self, examples: Examples, view: ImageView, title: str) -> Tensor:
        """Features (N, K) float16; unreadable images leave `examples`, with a warning each.

        Without a title there is no bar, as for those that the cache holds.
        """
        listener = self._listener if title else Listener()
        with listener.bar(title, len(examples.items), "img") as bar:
            features, errors = look_together(
                self._team, examples, self._sight, view, self._cache, bar.advance, bar.skip
            )
        if not errors:
            return features
        for n, (i, error) in enumerate(sorted(errors.items())):
            self.skipped[examples.items[i].ref.rel] = error
            if n < TOLD:
                self._listener.warn(f"left out {examples.items[i].ref.rel!a}: {error}")
        if len(errors) > TOLD:
            self._listener.warn(
                f"left out {counted(len(errors) - TOLD, 'more image')} that cannot be read: "
                "skipped.csv names them all."
            )
        wanted = [i not in errors for i in range(len(examples.items))]
        examples.keep(wanted)
        return features[torch.tensor(wanted)]


def look_together(
    team: Team,
    examples: Examples,
    sight: Sight,
    view: ImageView,
    cache: PoolingCache | None,
    advance: Callable[[int], object],
    skip: Callable[[int], object] | None = None,
) -> tuple[Tensor, dict[int, str]]:
    """`extract` by several processes, each a share of the images; all get all of it."""
    count = len(examples.items)
    own = team.part(torch.arange(count)).tolist()
    refs, contents = examples.refs, examples.contents
    found = extract(
        [refs[i] for i in own], [contents[i] for i in own], sight, view, cache=cache,
        advance=lambda done: advance(done * team.size),
        skip=lambda done: (skip or advance)(done * team.size),
    )  # fmt: skip
    if team.size == 1:
        return found
    parts = team.gather(found)
    features = torch.zeros(count, max(rows.shape[1] for rows, _ in parts), dtype=torch.float16)
    errors: dict[int, str] = {}
    for rank, (rows, failed) in enumerate(parts):
        if rows.shape[1]:
            features[rank :: team.size] = rows
        errors |= {rank + i * team.size: text for i, text in failed.items()}
    return features, errors


def gone(error: str) -> CamcliError:
    """What to say of an image that could be read a while ago, in the words of its own error."""
    return CamcliError(
        f"An image that could be read before cannot now: {error} When it is back, run the same "
        "command with --resume; to go on without it, start again with --overwrite."
    )


def check_trained(
    examples: Examples, classes: Sequence[str], skipped: dict[str, str]
) -> Counter[int]:
    """Training images of each class; `skipped` says what is wrong with those that are left out.

    Of values there are no classes, and each is known of some image.

    Raises:
        UsageError: a class has none that can be read.
    """
    if examples.measured:
        known = ~examples.targets.isnan()
        counts = Counter({c: int(n) for c, n in enumerate(known.sum(0))})
    else:
        counts = Counter(label for item in examples.items for label in item.labels)
    lost = [name for c, name in enumerate(classes) if not counts[c]]
    if lost:
        some = " ".join(list(skipped.values())[:3])
        raise UsageError(
            f"None of the training images of {', '.join(lost[:5])} can be read. {some}"
            + (f" And {len(skipped) - 3} more: see `camcli data describe`." * (len(skipped) > 3))
        )
    return counts


ANOTHER = 0.999
"""How much of what an image tells is new after one of its class: a class is worth at most
1 / (1 - this) images (Cui et al. 2019, who take 0.9 to 0.9999)."""


def effective(counts: Tensor) -> Tensor:
    """How many images each class is worth, (1 - b^n) / (1 - b): more of the same tell ever less."""
    return (1 - ANOTHER ** counts.double()) / (1 - ANOTHER)


def class_weights(counts: Counter[int], classes: int, rule: str = "balanced") -> Tensor:
    """(C,) weights of classes, of which the images' mean is 1.

    Args:
        counts: training images of each class.
        classes: C.
        rule: ``balanced`` makes each class count the same, N / (C n_c); ``effective`` as much as
            its images are many over what they are worth, see `effective`.
    """
    images = torch.tensor([counts[c] for c in range(classes)], dtype=torch.float64)
    weights = 1 / (images if rule == "balanced" else effective(images))
    return (weights * images.sum() / (weights * images).sum()).float()


def label_weights(targets: Tensor, rule: str = "balanced") -> Tensor:
    """(C,) weights of each label's positives.

    Args:
        targets: (N, C), as `of_labels` gives them.
        rule: ``balanced`` makes them count as its negatives do; ``effective`` by what both are
            worth, see `effective`.
    """
    negative, positive = ((targets == is_there).sum(0).clamp(min=1) for is_there in (0, 1))
    if rule == "effective":
        return (effective(negative) / effective(positive)).float()
    return negative / positive
