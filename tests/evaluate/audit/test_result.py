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
    ClassSummary("cat|tom", 4, 5, math.nan, 0.25, 0.5, ("mark",)),
    ClassSummary("dog", 5, 5, 0.125, 0.5, 0.0, ()),
)
SHOWN = tuple(Sighting(rel) for rel in ("a.jpg", "b|c.jpg", "d", "e"))
FOUND = (
    Finding("mark", "cat|tom", "used", "cat|tom rests on this mark.", "In 51.", "Crop.", SHOWN),
    Finding("frame", "dog", "not used", "A frame is there.", "In 3.", "", ()),
)


def result(masks):
    return AuditResult("photos", FOUND, ROWS, (), Alike({}, {}), masks)


def test_classes_are_a_table_and_flags_are_sentences():
    assert result(True).markdown().splitlines() == [
        "| class | correct | stray heat | at border | one corner | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        r"| cat\|tom | 4/5 | - | 25% | 50% | **flagged** |",
        "| dog | 5/5 | 12% | 50% | 0% |  |",
        "",
        r"- **cat\|tom rests on this mark.** In 51. a.jpg, b\|c.jpg, d",
        "- **A frame is there.** In 3. ",
    ]
    assert [found.label for found in result(True).flagged] == ["cat|tom"]


def test_without_masks_nothing_is_said_of_stray_heat():
    assert "stray" not in result(False).markdown()
    assert "facts" not in repr(result(False))


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
