"""Every metric of `grad-cam` 1.5 and `torchcam` 0.5: which of ours it is, and where they agree.

| theirs | ours | they agree | held against each other in |
| --- | --- | --- | --- |
| torchcam's ClassificationMetric | average_drop, average_increase | yes | here |
| torchcam's DeletionInsertionMetric | deletion, insertion | yes, with 16 steps and, for | |
| | | insertion, a blurred picture as its baseline, as RISE's authors have it | here |
| CamMultImageConfidenceChange, IncreaseInConfidence | average_increase | yes | test_faithfulness |
| DropInConfidence | average_drop | but for the division by the score | test_faithfulness |
| ROADCombined | road | yes, but for the noise; at 20, 40, 60 and 80% | test_faithfulness |
| ROADMostRelevantFirst, ROADLeastRelevantFirst | its two halves | | test_faithfulness |
| ROADMostRelevantFirstAverage, ROADLeastRelevantFirstAverage | likewise, their means | | |
| NoisyLinearImputer | faithfulness.imputed | yes, without noise | test_faithfulness |
| PerturbationConfidenceMetric, AveragerAcrossThresholds | what these are made of | | |
| RemoveMostRelevantFirst, RemoveLeastRelevantFirst | likewise | | test_faithfulness |
| Complexity, Coherency | mean_heat, coherency | yes | test_shape |
| ARCC | arcc | yes, but for ROAD's noise | test_shape |

Authors' codes that are on no package index, of which the formulas are written down again here:
github.com/visinf/idsds (Apache 2.0) and github.com/AslanDing/Finetune-Fidelity.
"""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from camcli.evaluate.metrics.faithfulness import average_drop, blurred, deletion, insertion
from camcli.evaluate.metrics.fidelity import ALPHA, BETA, PATCHES, SIZES, fidelity
from camcli.evaluate.metrics.single_deletion import deletion_score, without_each

SIDE = 32


def classes_in(module):
    return {
        name
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and name[0] != "_"
    }


def test_nothing_of_theirs_is_forgotten():
    """A new metric of theirs has no row in the table above yet."""
    metrics = pytest.importorskip("pytorch_grad_cam.metrics", reason="grad-cam is compared with")
    torchcams = pytest.importorskip("torchcam.metrics", reason="torchcam is compared with")
    theirs = classes_in(torchcams)
    for module in pkgutil.iter_modules(metrics.__path__, metrics.__name__ + "."):
        theirs |= classes_in(importlib.import_module(module.name))
    assert len(theirs) > 14
    assert not [name for name in theirs if not re.search(rf"\b{name}\b", str(__doc__))]


@pytest.fixture(scope="module")
def network():
    """Whose scores depend on the picture: its probabilities go from 0.1 to 0.97."""
    torch.manual_seed(7)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    with torch.no_grad():
        module[-1].weight.mul_(60)
    return module


@pytest.mark.parametrize("metric", ["classification", "curves"])
def test_torchcams_metrics(network, metric):
    """On its own LayerCAM of the probability, whose map has the size of the picture."""
    torchcams = pytest.importorskip("torchcam.metrics", reason="torchcam is compared with")
    methods = pytest.importorskip("torchcam.methods")
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randn(3, 3, SIDE, SIDE, generator=generator)
    softmax = lambda scores: scores.softmax(-1)  # noqa: E731
    with methods.LayerCAM(network, "3") as extractor:
        if metric == "classification":
            theirs = torchcams.ClassificationMetric(extractor, softmax)
        else:
            theirs = torchcams.DeletionInsertionMetric(
                extractor, softmax, steps=16, baseline=lambda x: torch.stack([*map(blurred, x)])
            )
        theirs.update(pictures)
        scores = softmax(network(pictures))
        index = scores.argmax(1)
        (maps,) = extractor(index.tolist(), scores)
    maps, found = maps.detach(), []
    for x, heat, c in zip(pictures, maps, index.tolist(), strict=True):
        ask = lambda images, c=c: network(images).softmax(1)[:, c]  # noqa: E731
        with torch.no_grad():
            if metric == "classification":
                found.append(average_drop(x, heat, ask))
            else:
                # Ours deletes to grey: over a picture that is grey where theirs is blurred they
                # are the same curve, which is what is compared.
                found.append((by_hand(x, blurred(x), heat, ask), insertion(x, heat, ask)))
    got = np.mean(found, axis=0)
    expected = list(theirs.summary().values())
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert abs(expected[0] - expected[1]) > 0.02


def by_hand(x, other, heat, ask):
    """Deletion to another picture: ours of the difference, with the other added to each step."""
    return deletion(x - other, heat, lambda images: ask(images + other))


def test_single_deletion_is_its_authors(network):
    """visinf/idsds, single_deletion.py: cells of int(H / 4), zeros, sums, spearmanr."""
    x = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)).double()
    net = network.double()
    attribution = np.random.default_rng(2).normal(size=(SIDE, SIDE))
    cell, sums, changes = SIDE // 4, [], []
    with torch.no_grad():
        whole = net(x[None])[0, 1]
        for row in range(4):
            for column in range(4):
                place = (
                    slice(row * cell, (row + 1) * cell),
                    slice(column * cell, (column + 1) * cell),
                )
                sums.append(attribution[place].sum())
                without = x.clone()
                without[(slice(None), *place)] = 0
                changes.append(float(whole - net(without[None])[0, 1]))
        logits = net(torch.cat([x[None], without_each(x)]))[:, 1]
    network.float()
    falls = (logits[0] - logits[1:]).numpy()
    np.testing.assert_allclose(falls, changes, rtol=1e-9)
    expected = scipy.stats.spearmanr(sums, changes).statistic
    assert deletion_score(attribution, falls, (SIDE, SIDE)) == pytest.approx(expected, abs=1e-9)


def test_f_fidelity_is_its_authors():
    """AslanDing/Finetune-Fidelity, evaluation_model.py: α of an explanation, at most β of all.

    Of the explanation's pixels each goes with probability α, or β·(all pixels)/(its pixels) where
    α of it would be more than β of the picture. They count right answers over draws; of a score
    that is linear in the picture the mean over all draws can be written down.
    """
    generator = torch.Generator().manual_seed(4)
    x, weight = (torch.rand(3, PATCHES, PATCHES, generator=generator) for _ in range(2))
    scores = torch.rand(PATCHES, PATCHES, generator=generator)
    each = (x * weight).sum(0).flatten().numpy()
    count = len(each)

    def theirs(order):
        falls = []
        for size in SIZES:
            chosen = order[: round(size * count)]
            ratio = ALPHA
            if len(chosen) * ALPHA > BETA * count:
                ratio = BETA * count / len(chosen)
            falls.append(ratio * each[chosen].sum())
        return float(np.mean(falls))

    order = np.argsort(1 - scores.flatten().numpy())
    ask = lambda images: (images * weight).sum((1, 2, 3))  # noqa: E731
    ours = fidelity(x, scores, ask, draws=6000)
    expected = theirs(order), theirs(np.argsort(scores.flatten().numpy()))
    np.testing.assert_allclose(ours, expected, rtol=0.01)
    assert abs(expected[0] - expected[1]) > 0.05 * expected[0], "else there is nothing to tell"
