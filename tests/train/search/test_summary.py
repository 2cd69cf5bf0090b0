"""What a search says at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from camcli.models.pooling.pooling import Pooling
from camcli.train.search.choice import Contender
from camcli.train.search.judge import Judged
from camcli.train.search.looks import ImageLook
from camcli.train.search.table import short, summary
from camcli.train.search.views import LearntViews


def contender(loss, right=8, **more):
    judged = Judged(0.01, torch.full((10,), loss, dtype=torch.double), torch.arange(10) < right)
    return Contender(ImageLook("a"), 1.0, Pooling(), 4, 10, judged, 0.5, **more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mean", "mean"),
        ("mean+max@layer1+std@layer2", "mean+max+std@3"),
        ("|mean+max|", "|mean+max|"),
    ],
)
def test_a_pooling_in_a_few_words(text, said):
    assert short(Pooling.read(text)) == said


def test_what_an_exact_map_costs_is_said_where_it_costs_something():
    won = contender(0.4)
    nearest = contender(0.3, right=9, head="neighbours")
    lines = summary([nearest, won], won, [], 1.0)["lines"]
    assert "of 0.1000 less" in lines[-2]
    assert "loss and +10.0 points right: --no-explainable" in lines[-1]
    worse = contender(0.5, head="neighbours")
    assert "neighbours have no less loss" in summary([won, worse], won, [], 1.0)["lines"][-1]
    taken = summary([nearest, won], nearest, [], 1.0)
    assert taken["lines"] == ["Chosen: a, mean, neighbours head."]
    rows = taken["rows"]
    assert [(row["head"], row["won"]) for row in rows] == [("neighbours", "yes"), ("linear", "")]


def test_a_simpler_one_is_said_to_be_as_good():
    won = contender(0.4)
    better = replace(contender(0.39), look=ImageLook("efficientnet_lite2", 320, "squash"))
    lines = summary([better, won], won, ["b"], 1.0)["lines"]
    assert lines[1] == "  as good as lite2 320 squash, mean within one standard error."
    assert all(len(line) <= 80 for line in lines)


def test_views_are_told_with_what_was_chosen():
    mirrored = contender(0.3, seen=LearntViews(mirror=True))
    parts = contender(0.29, seen=LearntViews(2, mirror=True))
    plain = contender(0.4)
    lines = summary([parts, mirrored, plain], mirrored, [], 1.0)["lines"]
    assert lines == [
        "Chosen: a, mean, mirrored, L2 0.01,",
        "  as good as with views (mirrored + 2 parts) within one standard error.",
    ]
    # What was asked for is not said to be as good as what was not.
    asked = contender(0.5, seen=LearntViews(4))
    assert summary([plain, asked], asked, [], 1.0)["lines"] == [
        "Chosen: a, mean, 4 parts, L2 0.01."
    ]
    assert [row["views"] for row in summary([plain, asked], asked, [], 1.0)["rows"]] == [
        "", "4 parts"
    ]  # fmt: skip
