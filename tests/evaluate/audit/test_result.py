"""What an audit shows in a notebook."""

import math
from dataclasses import replace

import numpy as np
import pytest

from camcli.evaluate.audit.audit import ClassSummary
from camcli.evaluate.audit.map_clusters import Alike
from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.audit.result import AuditResult
from camcli.evaluate.findings.finding import Finding, Sighting

ROWS = (
    ClassSummary("cat|tom", 5, 6, math.nan, 0.25, 0.5, ("mark",)),
    ClassSummary("dog", 5, 5, 0.125, 0.5, 0.0, ()),
)
FOUND = (
    Finding(
        "mark", "dog", "not used", "dog has a mark", "It is there.", "", (Sighting("z.jpg"),),
    ),
    Finding(
        "corner", "cat|tom", "used", "cat|tom rests on a corner", "In 4 of 5 <b>[x](y)</b>.", "",
        (Sighting("a_1.jpg"), Sighting("b|c.jpg"), Sighting("d\n.jpg"), Sighting("e")),
    ),
)  # fmt: skip


def result(masks, findings=FOUND, **more):
    return AuditResult("photos", findings, ROWS, (), Alike({}, {}), masks, **more)


def test_findings_are_sentences_and_classes_a_table():
    assert result(True, not_looked=("Frames: no time.",)).markdown().splitlines() == [
        "**Used by the network**",
        "",
        r"- **cat\|tom rests on a corner** In 4 of 5 \<b\>\[x\](y)\</b\>. a\_1.jpg, b\|c.jpg, "
        r"d\\n.jpg",
        "",
        "**Present, not used**",
        "",
        "- **dog has a mark** It is there.",
        "",
        "| class | correct | stray heat | at border | one corner | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        r"| cat\|tom | 5/6 | - | 25% | 50% | **flagged** |",
        "| dog | 5/5 | 12% | 50% | 0% |  |",
        "",
        "**Not looked at**",
        "",
        "- Frames: no time.",
    ]


def test_of_nothing_it_says_what_was_looked_for():
    text = result(False, (), looked_for=("marks, in 120 photographs",)).markdown()
    assert text.startswith("Nothing was found. Looked for: marks, in 120 photographs.\n\n| class")
    assert result(False, ()).markdown().startswith("Nothing was looked at.")
    one = replace(result(False, ()), classes=result(False, ()).classes[:1])
    assert one.nothing.startswith("Nothing can be told: it takes two classes")


def test_without_masks_nothing_is_said_of_stray_heat():
    assert "stray" not in result(False).markdown()
    assert repr(result(False)).startswith("AuditResult('photos', 2 classes, findings=[not used: ")


@pytest.mark.parametrize(
    ("labels", "told"), [((None, None), True), (("dog", None), False), ((), False)]
)
def test_that_there_are_no_labels_is_told(labels, told):
    facts = tuple(
        Fact(str(n), label, "dog", 0.9, np.zeros((4, 4), np.float32), False, math.nan, 0.1, 0)
        for n, label in enumerate(labels)
    )
    found = replace(result(False), facts=facts)
    assert found.unlabelled is told
    assert ("No labels are known" in found.markdown()) is told
