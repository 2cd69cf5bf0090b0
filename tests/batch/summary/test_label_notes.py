"""What a table of labels and a network do not know of each other is told."""

from __future__ import annotations

from camcli.batch.summary.label_notes import label_notes
from camcli.data.sources.label_tables import Tabled, read_label_table

CLASSES = ("cat", "dog")


def noted(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    labeller = Tabled(read_label_table(path))
    return label_notes(labeller.every(), CLASSES, labeller)


def test_labels_that_the_network_does_not_have(tmp_path):
    (note,) = noted(tmp_path, "path,label\na.jpg,cat|kitten\nb.jpg,\n")
    assert note.startswith("Left out of the true labels")
    assert note.endswith(": 'kitten'.")
    assert noted(tmp_path, "path,label\na.jpg,cat\nb.jpg,\n") == []


def test_labels_of_which_the_columns_say_nothing(tmp_path):
    for text in ("path,cat\na.jpg,1\nb.jpg,0\n", "path,cat,dog\na.jpg,1,\nb.jpg,0,\n"):
        (note,) = noted(tmp_path, text)
        assert "of 'dog': counted as absent from each image" in note
    assert noted(tmp_path, "path,cat,dog\na.jpg,1,0\nb.jpg,0,0\n") == []


def test_empty_cells_beside_others_are_told(tmp_path):
    (note,) = noted(tmp_path, "path,cat,dog\na.jpg,1,\nb.jpg,0,0\n")
    assert note.startswith("1 empty cell of ")
    assert "taken for unknown" in note
