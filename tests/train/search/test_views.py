"""Heads that learn from views of the images and are judged by the images alone."""

from __future__ import annotations

import pytest
import torch

from camcli.train.config import TrainConfig
from camcli.train.fitting.head import FeatureScale, linear, solve_head
from camcli.train.fitting.loop import Recipe
from camcli.train.search.judge import Task, each_loss, judge
from camcli.train.search.views import AS_IT_IS, LearntViews, ways


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("labels", [False, True])
def test_a_view_is_in_the_fold_of_its_image(plain, labels):
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(3, (60,), generator=generator)
    features = torch.randn(60, 5, generator=generator)
    features[:, 0] += targets
    # Views that give each image away: a head that had seen those of an image would know it.
    views = [features + 0.3 * torch.randn(60, 5, generator=generator) for _ in range(2)]
    if labels:
        targets = torch.stack([targets > 0, targets > 1], 1).float()
        targets[7, 0] = torch.nan
    folds = torch.arange(60) % 4
    folds[:3] = -1
    weight = torch.tensor([1.0, 2.0, 0.5][: 2 if labels else 3])
    recipe = Recipe(class_weight=weight, label_smoothing=0.1)
    classes = len(weight)
    found = judge(
        features, Task(targets, classes, folds, recipe), (), l2=0.01, views=views, plain=plain
    )
    learnt = [features, *views] if plain else views
    scale = FeatureScale.of(torch.cat(learnt))
    for fold in range(4):
        some, own = folds != fold, folds == fold
        seen = torch.cat([view[some] for view in learnt])
        truth = torch.cat([targets[some]] * len(learnt))
        head = scale.fold(*solve_head(scale(seen), truth, classes, 0.01, recipe))
        wanted = each_loss(linear(head, features[own]), targets[own]).double()
        assert torch.allclose(found.losses[own], wanted, rtol=1e-2, atol=5e-3)
    assert found.losses[:3].isnan().all()
    without = judge(features, Task(targets, classes, folds, recipe), (), l2=0.01)
    assert not torch.allclose(found.losses[3:], without.losses[3:], rtol=1e-2, atol=5e-3)


@pytest.mark.parametrize(
    ("seen", "number", "plain", "said"),
    [
        (AS_IT_IS, 1, True, ""),
        (LearntViews(mirror=True), 2, True, "mirrored"),
        (LearntViews(1, mirror=True), 3, True, "mirrored + 1 part"),
        (LearntViews(4), 4, False, "4 parts"),
        (LearntViews(1), 1, False, "1 part"),
    ],
)
def test_views_are_those_of_a_run_with_the_same_settings(seen, number, plain, said):
    config = seen.applied(TrainConfig())
    assert LearntViews.given(config) == seen
    assert (seen.number, seen.plain, str(seen)) == (config.views, plain, said)
    assert seen.number == number


def test_what_is_said_of_views_is_not_open():
    assert [str(each) for each in ways(TrainConfig())] == ["mirrored", "mirrored + 2 parts"]
    assert ways(TrainConfig(augment=3)) == [LearntViews(3)]
    assert ways(TrainConfig(unfreeze="all")) == []
    assert ways(TrainConfig(unfreeze="all", mirror=True)) == [LearntViews(mirror=True)]
