"""Does a label that a folder or a file gives name one of the network's classes?"""

from __future__ import annotations

from functools import lru_cache

from camcli.data.sources.label_tables import split_labels, unknown_labels
from camcli.models.classes.imagenet import are_imagenets, plain, wnid_index


def label_index(label: str, classes: tuple[str, ...]) -> int | None:
    """The class that a label names, or None: labels are data, so nothing is guessed.

    The exact name; the same but for capitals, spaces, ``_`` and ``-``, if that is one class only;
    or, for ImageNet's classes, a WordNet id.

    Args:
        label: such as a folder's name.
        classes: the C class names.
    """
    exact, loose = _names(classes)
    index = exact.get(label, loose.get(plain(label)))
    if index is None and are_imagenets(classes):
        index = wnid_index(label)
    return index


@lru_cache(maxsize=4)
def _names(classes: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int | None]]:
    """Classes by exact name and by plain name, where None stands for several."""
    loose: dict[str, int | None] = {}
    for index, name in enumerate(classes):
        loose[plain(name)] = None if plain(name) in loose else index
    return {name: index for index, name in enumerate(classes)}, loose


def label_indices(label: str, classes: tuple[str, ...]) -> frozenset[int] | None:
    """The classes that a label names of which several may be right: ``edema|mass``.

    Args:
        label: names with ``|`` between them, as `camcli.data.sources.label_tables` writes them;
            an empty one says that an image has none of the labels.
        classes: the C class names.

    Returns:
        Their indices; None where no name is one of the classes, or nothing is known of any class,
        so that nothing can be said. Of which nothing is known is told by `unknown_indices`.
    """
    whole = label_index(label, classes)
    if whole is not None:
        return frozenset([whole])
    found = [label_index(name, classes) for name in split_labels(label)]
    known = frozenset(index for index in found if index is not None)
    if not known and (found or unknown_indices(label, classes) >= set(range(len(classes)))):
        return None
    return known


def unknown_indices(label: str | None, classes: tuple[str, ...]) -> frozenset[int]:
    """The classes of which a label says that nobody knows whether they are right: ``?mass``.

    Args:
        label: as for `label_indices`; None for none.
        classes: the C class names.
    """
    if not label or label_index(label, classes) is not None:
        return frozenset()
    found = (label_index(name, classes) for name in unknown_labels(label))
    return frozenset(index for index in found if index is not None)
