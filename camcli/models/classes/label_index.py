"""Does a label that a folder or a file gives name one of the network's classes?"""

from __future__ import annotations

from functools import lru_cache

from camcli.models.classes.imagenet import imagenet_classes, plain, wnid_index


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
    if index is None and classes == imagenet_classes():
        index = wnid_index(label)
    return index


@lru_cache(maxsize=4)
def _names(classes: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int | None]]:
    """Classes by exact name and by plain name, where None stands for several."""
    loose: dict[str, int | None] = {}
    for index, name in enumerate(classes):
        loose[plain(name)] = None if plain(name) in loose else index
    return {name: index for index, name in enumerate(classes)}, loose
