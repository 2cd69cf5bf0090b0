"""What is said to a person, of every kind and verdict."""

from dataclasses import replace
from typing import get_args

import pytest

from camcli.evaluate.findings.finding import AuditKind, Effect, Measured
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.proof.words import advice, title, words

KINDS = get_args(AuditKind)


def suspect(kind="mark", change="some", what="a mark of about 60 x 40 pixels, anywhere"):
    return Suspect(kind, "al\npha", what, {"a.jpg": None}, 60, 2, 55, 0.8, 1e-6, change)


def effect(how, changed, control, odds=-2.0, control_odds=0.0):
    def near(value, by=0.05):
        return Measured(value, value - by, value + by)

    return Effect(
        how, "another patch", 50, near(changed), near(control), near(changed - control),
        near(odds), near(control_odds),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verdict", ["used", "not used", "unproved"])
def test_every_kind_has_an_answer_to_what_one_does(kind, verdict):
    told = advice(suspect(kind), verdict)
    assert told.endswith(".")
    assert "{" not in told
    assert "\n" not in told + title(suspect(kind), verdict)
    assert kind == "mark" or told != advice(suspect("mark"), verdict)


def test_what_is_used_is_told_with_its_numbers():
    found = words(suspect(), "used", effect("inpainted", 0.86, 0.03), effect("pasted", 0.6, 0.01))
    assert found == (
        "In 1 of 60 photographs predicted al\\npha (2 of 55 predicted otherwise). Inpainted, 86% "
        "[81, 91] of 50 are no longer al\\npha (3% with another patch). Pasted, 60% [55, 65] of 50 "
        "others become al\\npha (1% with another patch). Without it the log-odds of al\\npha "
        "change by -2.0 (with the control by +0.0)."
    )
    assert title(suspect(), "used") == "al\\npha rests on a mark of about 60 x 40 pixels, anywhere"


def test_what_is_there_and_unused_is_told_calmly():
    none = effect("inpainted", 0.02, 0.02, odds=0.0)
    found = words(suspect(), "not used", none, None)
    assert "Inpainted, 2% [-3, 7] of 50 are no longer al\\npha (2% with another patch)." in found
    assert "It counts" not in found
    some = words(suspect(), "not used", effect("inpainted", 0.02, 0.02, odds=-1.4), None)
    assert (
        "It counts, but it does not decide: without it the log-odds of al\\npha change by -" in some
    )
    put = effect("pasted", 0.02, 0.02, odds=1.4)
    assert "with it the log-odds of al\\npha change by +1.4" in words(
        suspect(), "not used", None, put
    )


def test_files_facts_are_invisible_and_other_things_were_not_at_hand():
    hidden = replace(suspect("software", None), what="the program that wrote its files")
    assert "which no pixel shows" in title(hidden, "unproved")
    assert "No network sees it" in words(hidden, "unproved", None, None)
    gone = suspect("corner", None)
    assert title(gone, "unproved").endswith("whether it rests on it is not known")
    assert "its photographs are not at hand" in words(gone, "unproved", None, None)
    assert "no network: why" in words(gone, "unproved", None, None, "no network: why")
