"""The registry: names as people type them, and what a method may claim about itself."""

from __future__ import annotations

import contextlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camcli.cam.map_options import Effort
from camcli.cam.methods import METHODS, find_method, heatmaps
from camcli.cam.scores import check_score
from camcli.cam.target import top_classes
from camcli.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("gradcam", "gradcam"),
        ("Grad-CAM", "gradcam"),
        (" grad_cam ", "gradcam"),
        ("GradCAM++", "gradcam++"),
        ("grad-cam-plus-plus", "gradcam++"),
        ("gradcampp", "gradcam++"),
        ("gradcam_pp", "gradcam++"),
        ("Layer-CAM", "layercam"),
        ("CAM", "cam"),
        ("XGradCAM", "xgradcam"),
    ],
)
def test_names_as_people_type_them(typed, name):
    assert find_method(typed).name == name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_found_by_its_own_name(name):
    assert find_method(name).name == name


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"'gradcan'.*Did you mean 'gradcam'"):
        find_method("gradcan")


@given(st.text(max_size=20))
def test_any_text_is_a_method_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert find_method(text).name in METHODS


def test_unknown_scores_are_refused():
    assert check_score("contrast") == "contrast"
    with pytest.raises(UsageError, match="logit, probability, contrast"):
        check_score("logits")


def test_top_classes_of_a_small_head():
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert top_classes(logits, 2).tolist() == [[1, 2]]
    assert top_classes(logits, 5).tolist() == [[1, 2, 0]]


def test_every_method_says_what_it_computes_and_where_it_is_from():
    for method in METHODS.values():
        assert method.formula
        assert method.paper
        assert method.equals is None or method.equals in METHODS


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if not m.attention])
def test_class_specific_methods_differ_between_classes_and_others_do_not(case, name):
    A, head, _ = case
    logits = head.module(A).detach()
    first, second = (
        heatmaps(
            METHODS[name], A, logits, torch.full((3,), c), head=head.linear, tail=head.module,
            images=head.images(A), see=head.see(head.module),
            forward=lambda images: head.module(head.stemmed(images)), effort=Effort(samples=2),
        )
        for c in (0, 1)
    )  # fmt: skip
    assert torch.allclose(first, second) != METHODS[name].class_specific


def test_cam_without_a_linear_head_says_what_to_use():
    A = torch.rand(1, 2, 3, 3)
    with pytest.raises(UsageError, match="Use gradcam or hirescam"):
        heatmaps(
            METHODS["cam"], A, torch.rand(1, 2), torch.tensor([0]), head=None,
            tail=lambda A: A.mean((2, 3)),
        )  # fmt: skip
