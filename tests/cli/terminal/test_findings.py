"""Findings on a terminal: in 80 columns, in order, and without anything that controls it."""

import io
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from camcli.cli.terminal.findings import MOST, print_findings
from camcli.evaluate.findings.finding import Finding, Sighting

PICTURE = np.zeros((4, 4, 3), np.uint8)


def drawn(findings, width=80, **how):
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    print_findings(findings, console=console, **how)
    return out.getvalue()


FINDINGS = [
    Finding(
        "mark", "beta", "not used", "beta carries a mark and does not rest on it",
        "In 48 of 60 photographs.", "Crop it off.", (Sighting("b/1.jpg"),), picture=PICTURE,
    ),
    Finding(
        "mark", "alpha", "used", "alpha rests on this mark: bottom right corner",
        "In 51 of 60 photographs, 2 of 60 elsewhere. Without it 86% [74, 93] change their class "
        "(control 3%); pasted on others 60% [47, 72] become alpha (control 1%).",
        "Crop the mark and train again.",
        tuple(Sighting(f"photos/alpha/{n}.jpg", note="alpha 0.98") for n in range(5)),
        picture=PICTURE,
    ),
    Finding("camera", "alpha", "unproved", "alpha has a camera of its own", "No pixel shows it.",
            "", (Sighting("x.jpg", other="y.jpg", note="alike"),)),
]  # fmt: skip


def test_what_is_used_is_first_and_the_rest_is_calm():
    text = drawn(FINDINGS, folder=PurePosixPath("out"), skipped=["Frames: no time was left."])
    assert (
        text
        == """
Used by the network
Changing it changes what the network says, beyond what any such change does.

  - alpha rests on this mark: bottom right corner
    out/findings/alpha-mark.png
    In 51 of 60 photographs, 2 of 60 elsewhere. Without it 86% [74, 93] change
    their class (control 3%); pasted on others 60% [47, 72] become alpha
    (control 1%).
      photos/alpha/0.jpg  alpha 0.98
      photos/alpha/1.jpg  alpha 0.98
      photos/alpha/2.jpg  alpha 0.98
      ... and 2 more in out/sightings.csv
    What to do: Crop the mark and train again.

Present, not used
It is there, and changing it turns hardly more predictions than the control
does. The next training may use it.

  - beta carries a mark and does not rest on it
    out/findings/beta-mark.png
    In 48 of 60 photographs.
    What to do: Crop it off.

Not proved
It is there. Whether the network uses it could not be shown.

  - alpha has a camera of its own
    No pixel shows it.
      x.jpg
      = y.jpg  alike

Not looked at
  - Frames: no time was left.
"""
    )


def test_of_nothing_it_says_what_was_looked_at():
    assert drawn([], nothing="Nothing was found in 60 photographs.") == (
        "\nNothing was found in 60 photographs.\n"
    )
    assert drawn([]) == ""


def test_of_very_many_the_first_are_told():
    many = [Finding("mark", "a", "used", f"finding {n}", "", "") for n in range(MOST + 5)]
    text = drawn(many, folder=PurePosixPath("out"))
    assert text.count("finding ") == MOST
    assert text.endswith("\n  ... and 5 more in out/findings.csv\n")


def test_what_is_in_the_data_needs_no_heading():
    finding = Finding("blank", None, "data", "2 blank pictures", "", "Delete them.",
                      (Sighting("a.jpg"), Sighting("b.jpg")))  # fmt: skip
    text = drawn([finding], folder=Path("out"), table="check.csv", examples=1)
    assert text.splitlines() == [
        "", "  - 2 blank pictures", "      a.jpg",
        f"      ... and 1 more in {Path('out/check.csv')}", "    What to do: Delete them.",
    ]  # fmt: skip


@given(st.text(max_size=30), st.sampled_from([20, 40, 80]))
def test_no_text_is_taken_for_markup_or_controls_the_terminal(text, width):
    finding = Finding(
        "mark", text, "used", text or "x", f"[red]{text}", text, (Sighting(text or "x", note=text),)
    )
    out = drawn([finding], width)
    assert all(line.isprintable() for line in out.split("\n"))
    assert "[red]" in out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_sentences_are_wrapped_and_paths_are_not(width):
    long = "folder/" * 40 + "a.jpg"
    finding = Finding("mark", "a", "used", "a", "word " * 100, "", (Sighting(long),))
    lines = drawn([finding], width).splitlines()
    assert [line.strip() for line in lines if line.strip().startswith("folder")] == [long]
    assert max(len(line) for line in lines if "folder" not in line) <= min(width, 92)
    assert not any(line.endswith(" ") for line in lines)
