import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from camcli.evaluate.metrics.faithfulness import (
    average_drop,
    blurred,
    curve_area,
    deletion,
    exchanged,
    imputed,
    infidelity,
    insertion,
    max_sensitivity,
    road,
)

H, W = 24, 32


@pytest.fixture
def scene():
    """An image that is bright in one square, its perfect map, and a network that sums it."""
    torch.manual_seed(0)
    x = torch.randn(3, H, W) * 0.05
    x[:, 6:14, 8:20] += 0.9
    heat = torch.zeros(H, W)
    heat[6:14, 8:20] = 1.0

    def ask(images):
        return (images[:, :, 6:14, 8:20].mean((1, 2, 3))).clamp(0, 1)

    return x, heat, ask


def test_curve_area_is_numpys():
    p = torch.rand(9)
    expected = sum((p[i] + p[i + 1]) / 2 for i in range(8)) / 8
    assert curve_area(p) == pytest.approx(float(expected))


def test_exchanged_by_hand():
    x = torch.arange(4.0).reshape(1, 2, 2).expand(3, 2, 2)
    order = torch.tensor([3, 0, 1, 2])
    images = exchanged(x, x * 0 - 1, order, 4)
    assert images[:, 0].flatten(1).tolist() == [
        [0, 1, 2, 3], [0, 1, 2, -1], [-1, 1, 2, -1], [-1, -1, 2, -1], [-1, -1, -1, -1],
    ]  # fmt: skip


def test_a_perfect_map_deletes_fast_and_inserts_fast(scene):
    x, heat, ask = scene
    assert deletion(x, heat, ask) < 0.2 < 0.8 < deletion(x, 1 - heat, ask)
    assert insertion(x, heat, ask) > insertion(x, 1 - heat, ask)
    assert road(x, heat, ask) > 0.2
    assert road(x, 1 - heat, ask) == pytest.approx(-road(x, heat, ask), abs=0.02)


def test_average_drop_by_hand(scene):
    x, heat, ask = scene
    assert average_drop(x, heat, ask) == (0.0, 0.0)
    drop, increase = average_drop(x, heat * 0.5, ask)
    assert drop == pytest.approx(0.5, abs=1e-5)
    assert increase == 0
    brighter = lambda images: 1 - images.abs().mean((1, 2, 3))  # noqa: E731
    assert average_drop(x, heat, brighter) == (0.0, 1.0)


def test_blur_keeps_an_even_image():
    x = torch.full((3, H, W), 0.7)
    torch.testing.assert_close(blurred(x), x)


def test_imputation_solves_roads_linear_system():
    torch.manual_seed(1)
    x = torch.randn(3, 9, 11, dtype=torch.float64)
    hole = torch.rand(9, 11) < 0.6
    filled = imputed(x, hole[None], noise=0, tolerance=1e-10)[0]
    # The system of Rong et al., built as a sparse matrix and solved by scipy.
    number = {tuple(p): i for i, p in enumerate(np.argwhere(hole.numpy()).tolist())}
    A = scipy.sparse.lil_matrix((len(number), len(number)))
    b = np.zeros((len(number), 3))
    for (r, c), i in number.items():
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                q = r + dr, c + dc
                if (dr, dc) == (0, 0) or not (0 <= q[0] < 9 and 0 <= q[1] < 11):
                    continue
                weight = 1 / 6 if 0 in (dr, dc) else 1 / 12
                A[i, i] += weight
                if q in number:
                    A[i, number[q]] -= weight
                else:
                    b[i] += weight * x[:, q[0], q[1]].numpy()
    expected = scipy.sparse.linalg.spsolve(A.tocsr(), b)
    np.testing.assert_allclose(filled[:, hole].T.numpy(), expected, atol=1e-7)
    assert torch.equal(filled[:, ~hole], x[:, ~hole])


def test_imputation_of_a_whole_photographs_hole_converges():
    x = torch.randn(3, 96, 96)
    hole = torch.zeros(2, 96, 96, dtype=torch.bool)
    hole[0, 8:88, 8:88] = True
    hole[1, :95] = True
    filled = imputed(x, hole, noise=0)
    assert filled.isfinite().all()
    # A mean of its surroundings is never outside their range.
    assert filled.max() <= x.max() + 1e-3
    assert filled.min() >= x.min() - 1e-3


def test_infidelity_of_a_linear_network(scene):
    x, _, _ = scene
    weight = torch.rand(H, W)
    logit = lambda images: (images.sum(1) * weight).sum((1, 2))  # noqa: E731
    exact = x.sum(0) * weight
    assert infidelity(x, exact, logit) == pytest.approx(0, abs=1e-6)
    assert infidelity(x, exact * 7, logit) == pytest.approx(0, abs=1e-6)
    assert infidelity(x, -exact, logit) == pytest.approx(1)
    assert infidelity(x, exact * 0, logit) == pytest.approx(1)
    assert 0 < infidelity(x, torch.rand(H, W), logit) <= 1
    assert infidelity(x, exact, lambda images: images[:, 0, 0, 0] * 0) == 0


def test_max_sensitivity(scene):
    x, _, _ = scene
    assert max_sensitivity(x, lambda images: torch.ones(len(images), 2, 2)) == 0
    assert np.isnan(max_sensitivity(x, lambda images: torch.zeros(len(images), 2, 2)))
    low = max_sensitivity(x, lambda images: images.mean(1), radius=0.01)
    high = max_sensitivity(x, lambda images: images.mean(1), radius=0.1)
    assert high == pytest.approx(10 * low, rel=1e-3)
    # ‖mean of three even draws in [-r, r]‖ / ‖mean x‖: each pixel's variance is r²/9.
    expected = 0.1 / 3 * (H * W) ** 0.5 / float(x.mean(0).norm())
    assert high == pytest.approx(expected, rel=0.1)


# -- captum's and the ROAD authors' own code ------------------------------------------------------


def test_infidelity_is_captums(scene):
    """With the best factor (captum's `normalize`), divided by the mean squared fall."""
    metrics = pytest.importorskip("captum.metrics", reason="captum is the reference")
    x, _, _ = scene
    heat = torch.rand(H, W)
    weight = torch.rand(3, H, W)
    logit = lambda images: ((images * weight).sum((1, 2, 3)) / 200).tanh()  # noqa: E731
    holed = []

    def record(images):
        holed.append(images)
        return logit(images)

    ours = infidelity(x, heat, record, samples=20, seed=3)
    batch = holed[0][1:]

    def perturb(inputs):
        # I of Yeh et al.: 1 where a square takes the pixel away. captum sums I * attributions.
        gone = (batch != inputs).any(1, keepdim=True).float().expand_as(batch) / 3
        return gone, batch

    theirs = metrics.infidelity(
        logit, perturb, x[None], heat.expand(1, 3, H, W), n_perturb_samples=20, normalize=True
    )
    falls = logit(x[None]) - logit(batch)
    assert ours == pytest.approx(float(theirs / (falls**2).mean()), rel=1e-4)


def test_max_sensitivity_is_captums(scene):
    metrics = pytest.importorskip("captum.metrics", reason="captum is the reference")
    x, _, _ = scene
    changed = []

    def explain(images):
        changed.append(images)
        return images**2

    ours = max_sensitivity(x, explain, radius=0.1, samples=6)
    theirs = metrics.sensitivity_max(
        lambda images: (images[0] ** 2,),  # tuples in, tuples out
        x[None],
        perturb_func=lambda inputs: (changed[0][1:],),
        n_perturb_samples=6,
    )
    assert ours == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_road_is_its_authors(scene):
    reference = pytest.importorskip("pytorch_grad_cam.metrics.road", reason="the reference")
    x, _, ask = scene
    heat = torch.rand(H, W)
    hole = heat > heat.flatten().quantile(0.4)
    theirs = reference.NoisyLinearImputer(noise=0)(x, (~hole).float())
    filled = imputed(x, hole[None], noise=0, tolerance=1e-6)[0]
    torch.testing.assert_close(filled, theirs, atol=1e-4, rtol=0)

    class Network(torch.nn.Module):
        def forward(self, images):
            return ask(images)[:, None]

    score = reference.ROADCombined([20, 40, 60, 80])(
        x[None], heat.numpy()[None], [lambda out: out[0]], Network()
    )
    # Both add noise of 0.01 to what they fill, each its own.
    assert road(x, heat, ask) == pytest.approx(score.item(), abs=5e-3)


class Doubtful(torch.nn.Module):
    """Probabilities of two classes that depend on every pixel, and not in the same way."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(3, H, W, generator=torch.Generator().manual_seed(5)) / 20

    def forward(self, images):
        logit = (images * self.weight).sum((1, 2, 3))
        return torch.stack([logit, -logit], 1).softmax(1)

    def ask(self, images):
        return self(images)[:, 0]


def test_deletion_and_insertion_are_gradcams_perturbations_under_sklearns_curve(scene):
    reference = pytest.importorskip(
        "pytorch_grad_cam.metrics.perturbation_confidence", reason="the reference"
    )
    metrics = pytest.importorskip("sklearn.metrics", reason="the area under a curve")
    x, _, _ = scene
    heat = torch.randperm(H * W, generator=torch.Generator().manual_seed(2)).reshape(H, W)
    heat = heat / (H * W)
    network = Doubtful()
    blur = torch.from_numpy(
        scipy.ndimage.gaussian_filter(x.numpy(), sigma=(0, 5, 5), radius=(0, 5, 5), mode="nearest")
    )
    torch.testing.assert_close(blurred(x), blur)

    def confidence(perturbation):
        metric = reference.PerturbationConfidenceMetric(perturbation)
        first = [lambda out: out[0]]
        return float(metric(x[None], heat.numpy()[None], first, network, return_diff=False)[0])

    grey = lambda image, kept: image * kept  # noqa: E731
    soft = lambda image, kept: image * kept + blur * (1 - kept)  # noqa: E731
    whole = confidence(lambda image, _: image)
    shares = np.linspace(0, 1, 17)
    deleted = [whole] + [
        confidence(reference.RemoveMostRelevantFirst(100 * (1 - share), grey))
        for share in shares[1:]
    ]
    inserted = [
        confidence(reference.RemoveLeastRelevantFirst(100 * share, soft)) for share in shares[:-1]
    ] + [whole]
    assert np.ptp(deleted) > 0.1
    assert np.ptp(inserted) > 0.1
    assert deletion(x, heat, network.ask) == pytest.approx(metrics.auc(shares, deleted), abs=1e-6)
    assert insertion(x, heat, network.ask) == pytest.approx(metrics.auc(shares, inserted), abs=1e-6)


def test_average_drop_and_increase_are_gradcams(scene):
    """Theirs is the fall itself; Chattopadhay's is its share of the confidence before."""
    reference = pytest.importorskip("pytorch_grad_cam.metrics.cam_mult_image", reason="reference")
    network = Doubtful()
    seen = set()
    for seed, x in enumerate([scene[0], -scene[0], scene[0] * 2]):
        heat = torch.rand(H, W, generator=torch.Generator().manual_seed(seed)) ** 3
        asked = (x[None], heat.numpy()[None], [lambda out: out[0]], network)
        drop, increase = average_drop(x, heat, network.ask)
        theirs = reference.DropInConfidence()(*asked) / network.ask(x[None]).numpy()
        assert drop == pytest.approx(theirs.item(), abs=1e-6)
        assert increase == reference.IncreaseInConfidence()(*asked).item()
        seen.add(increase)
    assert seen == {0.0, 1.0}


def test_wide_holes_are_filled_to_less_than_the_noise():
    generator = torch.Generator().manual_seed(0)
    x = F.interpolate(torch.randn(1, 3, 6, 9, generator=generator), (75, 112), mode="bicubic")[0]
    y, x_at = torch.meshgrid(torch.arange(75), torch.arange(112), indexing="ij")
    round_hole = (y - 30) ** 2 + (x_at - 70) ** 2 < 30**2
    scattered = torch.rand(75, 112, generator=generator) < 0.8
    holes = torch.stack([round_hole, ~round_hole, scattered, torch.zeros_like(round_hole)])
    filled = imputed(x, holes, noise=0)
    truth = imputed(x, holes, noise=0, tolerance=1e-7)
    assert float((filled - truth).pow(2).mean().sqrt()) < 0.01
    # The equation itself: without its middle, each filled pixel is the weighted mean around it.
    kernel = torch.tensor([[1.0, 2, 1], [2, 0, 2], [1, 2, 1]]).repeat(3, 1, 1, 1) / 12
    around = F.conv2d(truth, kernel, padding=1, groups=3)
    weight = F.conv2d(torch.ones_like(truth), kernel, padding=1, groups=3)
    wrong = (around / weight - truth) * holes[:, None]
    assert float(wrong.abs().max()) < 1e-4
    torch.testing.assert_close(filled[3], x)
