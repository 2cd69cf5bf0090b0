"""Copies of an image, noisy or moved, and the way back."""

import numpy as np
import pytest
import torch

from camcli.cam.chunked import in_chunks
from camcli.cam.map_options import Effort
from camcli.cam.method_input import Evidence
from camcli.cam.noise import GAINS, SIGMA, augmented, noisy_images, resized
from camcli.models.cutting.types import Tail


def evidence(images, **effort):
    A = images[:, :, ::4, ::4]
    return Evidence(
        A, A.mean((2, 3)), torch.zeros(len(images), dtype=torch.int64),
        Tail(lambda A: A.mean((2, 3))), images=images, see=lambda _: None,  # type: ignore[arg-type]
        effort=Effort(**effort),
    )  # fmt: skip


def test_maps_of_moved_copies_are_moved_back():
    """A map that follows the image comes back to where it was, times what it was dimmed by."""
    images = torch.rand(2, 3, 8, 12)
    maps = images.mean(1)
    seen = []
    for copy, back in augmented(images):
        gain = float(copy.abs().max() / images.abs().max())
        seen.append(round(gain, 4))
        torch.testing.assert_close(back(copy.mean(1)), maps * gain)
    assert seen == [*GAINS, *GAINS]
    flipped = [copy for copy, _ in augmented(images)][4]
    assert torch.equal(flipped, images.flip(3)), "left and right, not up and down"


def test_noise_is_a_share_of_each_images_range_and_the_same_for_all():
    """So that a map does not depend on the batch that its image is in."""
    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32) * torch.tensor([1.0, 10.0])[:, None, None, None]
    copies = list(noisy_images(evidence(images, samples=20)))
    assert len(copies) == 20
    noise = torch.stack(copies) - images
    spread = images.amax((1, 2, 3)) - images.amin((1, 2, 3))
    for n in range(2):
        assert float(noise[:, n].std()) == pytest.approx(SIGMA * float(spread[n]), rel=0.03)
        assert float(noise[:, n].mean()) == pytest.approx(0, abs=0.01 * float(spread[n]))
    torch.testing.assert_close(noise[:, 0] / spread[0], noise[:, 1] / spread[1])
    assert not torch.allclose(noise[0], noise[1]), "each copy has noise of its own"
    alone = next(iter(noisy_images(evidence(images[1:], samples=20))))
    torch.testing.assert_close(alone, copies[0][1:])
    other = next(iter(noisy_images(evidence(images, samples=20, seed=1))))
    assert not torch.allclose(other, copies[0])


def test_maps_are_resized_with_their_edges_together():
    """By hand: 0 and 4 on twice as many pixels are 0, 1, 3, 4."""
    got = resized(torch.tensor([[[0.0, 4.0]]]), (1, 4))
    assert got[0, 0].tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("lanes", [None, 1, 3])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_a_queue_of_pairs_keeps_its_order(chunk, lanes):
    from concurrent.futures import ThreadPoolExecutor

    sizes = []

    def score(some):
        assert not torch.is_grad_enabled()
        sizes.append(len(some))
        return some[:, 0] * 100.0 + some[:, 1]

    pairs = torch.tensor([(b, k) for b in range(3) for k in range(5)])
    wanted = [100.0 * b + k for b, k in pairs.tolist()]
    if lanes is None:
        got = in_chunks(pairs, score, Effort(chunk=chunk))
    else:
        with ThreadPoolExecutor(lanes) as pool:
            got = in_chunks(pairs, score, Effort(chunk=chunk, pool=pool, lanes=lanes))
    assert got.tolist() == wanted
    assert max(sizes) <= chunk
    assert len(in_chunks(pairs[:0], score, Effort())) == 0
    np.testing.assert_equal(sum(sizes), 15)
