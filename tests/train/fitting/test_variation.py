"""Views and mixtures: drawn by seed, epoch and picture, and by nothing else."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torchvision.transforms.autoaugment import RandAugment

from camcli.train.feature_pass.features import ImageView
from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.variation import DrawnRandAugment, Mixer, TuningView
from tests.train.fitting.test_trainable_layers import tunable

RGB = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return tunable("two")[2]


def view(classifier, epoch=0, seed=0, content="aa", **how):
    how = {"variation": "none", "magnitude": 9} | how
    return TuningView(classifier, seed, epoch, **how).pixels(RGB, content)


def test_a_view_depends_on_seed_epoch_and_picture_and_not_on_threads(classifier):
    plain = view(classifier, magnitude=0)
    assert torch.equal(plain, classifier.preprocess.pixels(RGB))
    seen = {str(view(classifier, epoch=e).tolist()) for e in range(12)}
    assert len(seen) > 6  # some operations do nothing, or the same
    assert any(not torch.equal(view(classifier, e, 0), view(classifier, e, 1)) for e in range(5))
    contents = [f"{n}" for n in range(16)]
    one = [view(classifier, content=c) for c in contents]
    torch.manual_seed(1)  # which torchvision's own would draw from
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda c: view(classifier, content=c), contents))
    assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))
    assert all(a.dtype == torch.uint8 and a.shape == plain.shape for a in one)


def test_parts_and_mirrors_are_those_of_the_first_stage(classifier):
    part = view(classifier, variation="parts", magnitude=0)
    assert torch.equal(part, ImageView(classifier, 0, 0).pixels(RGB, "aa"))
    assert not torch.equal(part, view(classifier, epoch=1, variation="parts", magnitude=0))


def test_half_of_the_pictures_are_mirrored_in_each_epoch_others(classifier):
    plain = classifier.preprocess.pixels(RGB)
    mirrored = [
        [
            torch.equal(
                view(classifier, e, content=f"{n}", variation="mirror", magnitude=0), wanted
            )
            for n in range(40)
        ]
        for e, wanted in ((0, plain.flip(2)), (1, plain.flip(2)), (0, plain))
    ]
    assert 10 < sum(mirrored[0]) < 30
    assert mirrored[0] != mirrored[1]
    assert mirrored[2] == [not each for each in mirrored[0]]


class Told:
    """A generator that draws what it is told."""

    def __init__(self, operations, signs):
        self.operations, self.signs = list(operations), list(signs)

    def integers(self, count):
        return self.operations.pop(0)

    def random(self):
        return self.signs.pop(0)


@pytest.mark.parametrize("first", range(14))
def test_its_operations_are_torchvisions(first, monkeypatch):
    """The same draws give what torchvision's own class gives."""
    pixels = torch.from_numpy(RGB).permute(2, 0, 1).contiguous()
    own = DrawnRandAugment(9)
    found = own.drawn(pixels, Told([first, 11], [0.1, 0.1]))
    operations = iter([first, 11])

    def randint(high, size):
        return torch.tensor([1 if high == 2 else next(operations)])  # 1: the other way round

    monkeypatch.setattr(torch, "randint", randint)
    grey = [float(pixels.float().mean())] * 3
    theirs = RandAugment(magnitude=9, interpolation=own.interpolation, fill=grey)
    torch.testing.assert_close(found, theirs(pixels), atol=1, rtol=0)


def test_mixup_by_hand():
    """The loss of a mixture is that of the soft target it stands for."""
    mixer = Mixer(Recipe(seed=3), 0.4)
    mixer.begin(2)
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 2, 2)
    mixed = mixer.mix(images)[:, 0, 0, 0]
    logits, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    rng = np.random.default_rng([3, 2])
    share = rng.beta(0.4, 0.4)
    share = max(share, 1 - share)
    other = torch.from_numpy(rng.permutation(4))
    torch.testing.assert_close(mixed, share * torch.arange(4.0) + (1 - share) * other.float())
    soft = share * F.one_hot(targets, 3) + (1 - share) * F.one_hot(targets[other], 3)
    torch.testing.assert_close(mixer.loss(logits, targets), F.cross_entropy(logits, soft))
    mixer.begin(2)
    assert torch.equal(mixer.mix(images)[:, 0, 0, 0], mixed)
    assert not torch.equal(mixer.mix(images)[:, 0, 0, 0], mixed), "each step draws anew"


def test_without_mixup_nothing_is_mixed():
    mixer = Mixer(Recipe(), 0.0)
    mixer.begin(0)
    images, logits, targets = torch.rand(2, 3, 4, 4), torch.randn(2, 3), torch.tensor([0, 1])
    assert mixer.mix(images) is images
    assert torch.equal(mixer.loss(logits, targets), Recipe().loss(logits, targets))
