"""Which images are held out for validation and test."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from random import Random

from camcli.data.sources.label_tables import split_labels
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split
from camcli.errors import UsageError


def hold_out(
    refs: Sequence[ImageRef],
    shares: Mapping[Split, float],
    seed: int,
    group: str | None = None,
    *,
    several: bool = False,
) -> dict[str, Split]:
    """Draw held-out images, the same share of every class, whole groups at a time.

    The draw depends on the names and the seed, not on the order of the files. Each class keeps
    at least one group for training; a class with two groups or more gives at least one to every
    split for which there is one left.

    Args:
        refs: labelled images.
        shares: share of each class for each split, in the order in which they are filled.
        seed: another seed draws other images.
        group: regular expression, searched in the relative path; images with the same text in
            its first group stay together. By default every image is on its own.
        several: an image has several labels, or none: each is drawn from in turn, rare ones first
            (after Sechidis et al. 2011), so that none is left to the leavings of another.

    Returns:
        The split of each image that is held out, by relative path.

    Raises:
        UsageError: `group` is no regular expression with a group, or fits no image.
    """
    keys = group_keys(refs, group)
    members: dict[str, list[ImageRef]] = defaultdict(list)
    classes: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sizes: Counter[str] = Counter()
    for ref, key in zip(refs, keys, strict=True):
        members[key].append(ref)
        for label in _labels(ref, several):
            classes[label].add(key)
            counts[key][label] += 1
            sizes[label] += 1
    taken: dict[str, Split | None] = {}
    filled: Counter[tuple[Split, str]] = Counter()
    training = {label: len(keys) for label, keys in classes.items()}  # groups not held out

    def quota(split: Split, label: str) -> int:
        return max(1, round(shares[split] * sizes[label]))

    def overfills(split: Split, key: str, label: str) -> bool:
        """Whether a group brings more of another label than its share."""
        others = counts[key].items()
        return any(
            filled[split, other] + count > quota(split, other)
            for other, count in others
            if other != label
        )

    for label in sorted(classes, key=lambda name: (sizes[name] if several else 0, name)):
        order = sorted(classes[label])
        Random(f"{seed}/{label}".encode("utf-8", "surrogateescape")).shuffle(order)
        # The last group trains, unless another class has already taken it.
        keep = next((key for key in reversed(order) if key not in taken), None)
        if keep is not None and not (several and any(taken.get(k, "") is None for k in order)):
            taken[keep] = None
        for split in shares:
            wanted = quota(split, label)
            # Those first that leave the other labels their shares.
            for careful in (True, False) if several else (False,):
                for key in order:
                    size, have = counts[key][label], filled[split, label]
                    # Take a group while that brings the count nearer to the quota.
                    nearer = have == 0 or abs(have + size - wanted) < wanted - have
                    if key in taken or not nearer or (careful and overfills(split, key, label)):
                        continue
                    if any(training[each] < 2 for each in counts[key]):
                        continue  # the last of another class that comes with it
                    taken[key] = split
                    for each, count in counts[key].items():
                        filled[split, each] += count
                        training[each] -= 1
    return {ref.rel: split for key, split in taken.items() if split for ref in members[key]}


def _labels(ref: ImageRef, several: bool) -> tuple[str, ...]:
    """What an image is drawn for; one without labels for having none."""
    return (split_labels(ref.label or "") or ("",)) if several else (str(ref.label),)


def group_keys(refs: Sequence[ImageRef], group: str | None) -> list[str]:
    """What names the group of each image: its own path where it is on its own.

    Args:
        refs: the images.
        group: as for `hold_out`.

    Raises:
        UsageError: as `hold_out` does.
    """
    if group is None:
        return [ref.rel for ref in refs]
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(f"The group {group!r} is not a regular expression: {error}.") from error
    if not pattern.groups:
        raise UsageError(
            f"The group {group!r} needs a part in parentheses, such as '^(.+?)_\\d+': what images "
            "of one group have in common."
        )
    found = [pattern.search(ref.rel) for ref in refs]
    if not any(found):
        raise UsageError(f"The group {group!r} fits no image, not even {refs[0].rel!r}.")
    # A slash cannot start a relative path, so the two kinds of keys never meet.
    return [f"/{m[1]}" if m else ref.rel for m, ref in zip(found, refs, strict=True)]
