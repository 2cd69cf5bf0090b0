"""What labels of images and a network of labels do not know of each other, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterable

from camcli.data.sources.label_tables import Tabled, split_labels
from camcli.models.classes.label_index import label_index
from camcli.printable import some


def label_notes(
    labels: Iterable[str], classes: tuple[str, ...], labeller: object = None
) -> list[str]:
    """What a person should know before believing the numbers.

    Args:
        labels: of the images, as `camcli.data.sources.label_tables.join_labels` writes them.
        classes: the network's C labels.
        labeller: where the labels are from: of a table with a column a label it is said which
            label has no column, or nothing in it, as that counts as absent from each image.
    """
    every = dict.fromkeys(labels)
    notes = []
    strangers = dict.fromkeys(
        name for label in every for name in split_labels(label)
        if label_index(name, classes) is None
    )  # fmt: skip
    if strangers:
        notes.append(
            "Left out of the true labels, as they name no class of this network: "
            f"{_quoted(strangers)}."
        )
    if isinstance(labeller, Tabled) and labeller.table.columns:
        table = labeller.table
        if table.empty:
            notes.append(table.empty_told)
        told = {label_index(name, classes) for name in table.classes if name not in table.blank}
        if absent := [name for index, name in enumerate(classes) if index not in told]:
            notes.append(
                f"{table.path} has no column, or an empty one, of {_quoted(absent)}: counted as "
                "absent from each image, so that exact match, F1 and the micro average blame the "
                "network for finding it."
            )
    return notes


def _quoted(names: Iterable[str]) -> str:
    return some([f"'{name}'" for name in names])
