"""Which images are held out for validation and test."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from random import Random

from camcli.data.sources.find import ImageRef
from camcli.data.sources.splits import Split
from camcli.errors import UsageError


def hold_out(
    refs: Sequence[ImageRef], shares: Mapping[Split, float], seed: int, group: str | None = None
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

    Returns:
        The split of each image that is held out, by relative path.

    Raises:
        UsageError: `group` is no regular expression with a group, or fits no image.
    """
    keys = _groups(refs, group)
    members: dict[str, list[ImageRef]] = defaultdict(list)
    classes: dict[str, set[str]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    for ref, key in zip(refs, keys, strict=True):
        members[key].append(ref)
        classes[str(ref.label)].add(key)
        sizes[str(ref.label)] += 1
    taken: dict[str, Split | None] = {}
    for label in sorted(classes):
        order = sorted(classes[label])
        Random(f"{seed}/{label}".encode("utf-8", "surrogateescape")).shuffle(order)
        # The last group trains, unless another class has already taken it.
        keep = next((key for key in reversed(order) if key not in taken), None)
        if keep is not None:
            taken[keep] = None
        for split, share in shares.items():
            quota = max(1, round(share * sizes[label]))
            filled = sum(_count(members[k], label) for k in order if taken.get(k) == split)
            for key in order:
                size = _count(members[key], label)
                # Take a group while that brings the count nearer to the quota.
                if key not in taken and (
                    filled == 0 or abs(filled + size - quota) < quota - filled
                ):
                    taken[key] = split
                    filled += size
    return {ref.rel: split for key, split in taken.items() if split for ref in members[key]}


def _count(refs: Sequence[ImageRef], label: str) -> int:
    return sum(str(ref.label) == label for ref in refs)


def _groups(refs: Sequence[ImageRef], group: str | None) -> list[str]:
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
