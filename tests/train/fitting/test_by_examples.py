"""Heads of the class means and of the training images themselves, against scikit-learn's."""

import numpy as np
import pytest
import torch

from camcli.models.pooling.nearest import NearestHead
from camcli.train.fitting.by_examples import NEIGHBOURS, solve_by_examples
from camcli.train.fitting.head import FeatureScale, LabelledFeatures, linear

C = 4


def drawn(N, seed, spread=1.0, labels=False):
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(C, 6, generator=torch.Generator().manual_seed(9))
    if labels:
        targets = (torch.rand(N, C, generator=generator) < 0.4).float()
        middle = targets @ centres
    else:
        targets = torch.randint(C, (N,), generator=generator)
        middle = centres[targets]
    features = middle + spread * torch.randn(N, 6, generator=generator) + 5
    return LabelledFeatures(features.half(), targets)


def test_prototypes_predict_as_the_nearest_centroid():
    from sklearn.neighbors import NearestCentroid

    train, new = drawn(200, 1, 3.0), drawn(100, 2, 3.0)
    head, row = solve_by_examples("prototype", train, C)
    scale = FeatureScale.of(train.features)
    theirs = NearestCentroid().fit(scale(train.features).numpy(), train.targets.numpy())
    ours = linear(head, new.features).argmax(1).numpy()
    assert (ours == theirs.predict(scale(new.features).numpy())).all()
    unseen = torch.nn.functional.cross_entropy(linear(head, new.features), new.targets)
    assert float(unseen) == pytest.approx(row["train_loss"], abs=0.25)


def test_an_image_is_no_proof_of_itself():
    """With as many numbers as images every image is its own neighbour, and near its own mean."""
    generator = torch.Generator().manual_seed(4)
    noise = LabelledFeatures(torch.randn(60, 60, generator=generator).half(), torch.arange(60) % C)
    for kind in ("prototype", "neighbours"):
        _, row = solve_by_examples(kind, noise, C)
        assert row["train_loss"] == pytest.approx(np.log(C), abs=0.12), kind
        assert row["train_acc"] < 0.5


def test_views_of_an_image_are_no_proof_of_it_either():
    generator = torch.Generator().manual_seed(4)
    one = torch.randn(60, 60, generator=generator)
    both = LabelledFeatures(torch.cat([one, one + 0.01]).half(), (torch.arange(60) % C).repeat(2))
    _, row = solve_by_examples("neighbours", both, C, views=2)
    assert row["train_loss"] > 1.2


def test_neighbours_are_those_of_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    train, new = drawn(300, 1, 2.0), drawn(50, 2, 2.0)
    head, row = solve_by_examples("neighbours", train, C)
    assert isinstance(head, NearestHead)
    assert row["k"] in NEIGHBOURS
    scale = FeatureScale.of(train.features)
    theirs = NearestNeighbors(n_neighbors=row["k"], metric="cosine")
    theirs.fit((train.features.float() / scale.unit).numpy())
    far, who = theirs.kneighbors((new.features.float() / scale.unit).numpy())
    weight = np.exp(row["sharpness"] * (1 - far))
    votes = np.zeros((50, C))
    for i in range(50):
        np.add.at(votes[i], train.targets.numpy()[who[i]], weight[i] / weight[i].sum())
    ours = head.votes(new.features.float()).softmax(1).numpy()
    assert np.abs(ours - (0.99 * votes + 0.01 / C)).max() < 0.05  # features are kept in 16 bits


@pytest.mark.parametrize("kind", ["prototype", "neighbours"])
def test_labels_some_of_which_nobody_knows(kind):
    train, new = drawn(400, 1, 0.5, labels=True), drawn(100, 2, 0.5, labels=True)
    train.targets[::7, 1] = torch.nan
    head, row = solve_by_examples(kind, train, C)
    logits = linear(head, new.features) if kind == "prototype" else head.votes(new.features.float())
    assert float(((logits > 0) == (new.targets == 1)).float().mean()) > 0.85
    assert np.isfinite(list(row.values())).all()


@pytest.mark.parametrize("kind", ["prototype", "neighbours"])
def test_a_class_of_one_image_and_fewer_images_than_neighbours(kind):
    train = LabelledFeatures(torch.eye(3).half(), torch.tensor([0, 0, 1]))
    head, row = solve_by_examples(kind, train, 2)
    assert np.isfinite(list(row.values())).all()
    logits = linear(head, train.features) if kind == "prototype" else head.votes(torch.eye(3))
    assert logits.isfinite().all()


def test_blocks_weigh_alike():
    """Of a statistic that is a thousand times as large nothing is seen otherwise."""
    train = drawn(200, 1, 2.0)
    large = torch.cat([train.features.float(), 1000 * torch.randn(200, 2)], 1)
    alike, _ = solve_by_examples("neighbours", LabelledFeatures(large, train.targets), C, [6, 2])
    assert alike.scale[:6].min() > 100 * alike.scale[6:].max()
