"""Every method of `grad-cam` 1.5 and `torchcam` 0.5: which of ours it is, and who is right.

| theirs | ours | they agree | held against each other in |
| --- | --- | --- | --- |
| GradCAM, HiResCAM, XGradCAM, LayerCAM, GradCAMElementWise, FEM | the same | yes | test_parity, |
| | | | test_parity_layers |
| AblationCAM | ablationcam | yes, where S > 0 | test_parity |
| FullGrad | fullgrad | yes | test_fullgrad |
| ShapleyCAM | shapleycam | yes, but for tokens | test_parity_layers |
| grad-cam's ScoreCAM | scorecam-softmax | yes | test_parity_layers |
| RandomCAM | random | yes, with the same draw | here |
| EigenCAM, EigenGradCAM, KPCA_CAM | the same | after centring, which the papers of Eigen-CAM | |
| | | do not; their sign is the BLAS's | here, test_parity |
| grad-cam's GradCAMPlusPlus | gradcam++ | where g² is far above its ε | here, test_parity |
| grad-cam's FinerCAM | finercam | no: it differentiates the comparisons' weights too | here |
| torchcam's FinerCAM | finercam | yes, with gamma=1 | here |
| torchcam's CAM | cam | yes | here |
| torchcam's GradCAMpp | gradcam++ | no: it never divides | here |
| torchcam's SmoothGradCAMpp | smoothgradcam++ | no: its g and the A that it weighs are the | |
| | | last copy's, and its g³ is summed | here |
| torchcam's ScoreCAM, SSCAM | scorecam, sscam | but for its softmax over channels | here |
| torchcam's ISCAM | iscam | no: its masks' factors add up to 5.5 | here |
| RefineCAM, in both | refinecam, by LayerCAM; --fuse product for another base, | | |
| | such as their Grad-CAM++ | yes | here |
| torchcam's LeGrad | legrad | yes | attention/test_by_hand |
| SegEigenCAM | none: it is for segmentation, and its gradients are made positive, so that | | |
| | what speaks against a class is shown as for it; see below | | |
| SESS | none: 244 passes for what a larger input has in 3; see below | | |
| GuidedBackpropReLUModel, GuidedBackpropReLU, GuidedBackpropReLUasModule | none: no CAM | | |

The two that are left out, measured on 20 photographs of dogs with boxes (bundled network at 224
pixels, whole photographs, predicted class; differences paired, with 95% intervals):

| | deletion, low is good | against cam | MaxBoxAccV2 | passes |
| --- | --- | --- | --- | --- |
| cam | 0.105 | | 0.85 | 1 |
| eigengradcam, SegEigenCAM's kin | 0.111 | +0.006 (0.000 to 0.012) | 0.82 | 1 |
| SegEigenCAM | 0.131 | +0.025 (0.007 to 0.050) | 0.67 | 1, and a gradient |
| SESS, as it comes: Grad-CAM, 12 scales | 0.081 | -0.024 (-0.042 to -0.011) | 0.90 | 244 |
| cam, --input-size 384, judged at 224 | 0.086 | -0.019; SESS is not told from | | |
| | | it: -0.005 (-0.015 to 0.005) | 0.97 | 3 |

The network has maps as large as its images, so that nobody's upsampling matters, and is in float64.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch
from torch import nn

from camcli.cam import masking
from camcli.cam.activations import kpcacam
from camcli.cam.explainer import fused
from camcli.cam.gradients import first_component
from camcli.cam.map_options import Effort
from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.cam.target import nearest_classes
from camcli.models.cutting.cut import LinearHead, Tail

peer = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is compared with, if installed")
torchcam = pytest.importorskip("torchcam.methods", reason="torchcam is compared with, too")
targets_of = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget

SIZE, K, C, B = 12, 6, 5, 2


class Net(nn.Module):
    """Two layers of maps at the images' size, and a tail that bends."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two = nn.Conv2d(3, K, 5, padding=2), nn.Conv2d(K, K, 3, padding=1)
        self.act_one, self.act_two = nn.ReLU(), nn.ReLU()
        self.tail_conv, self.fc = nn.Conv2d(K, 8, 3, stride=2), nn.Linear(8, C)
        with torch.no_grad():
            self.fc.weight.mul_(60)

    def features(self, x):
        return self.act_two(self.two(self.first(x)))

    def first(self, x):
        return self.act_one(self.one(x))

    def after_first(self, A):
        return self.tail(self.act_two(self.two(A)))

    def tail(self, A):
        return self.fc(torch.tanh(self.tail_conv(A)).mean((2, 3)))

    def forward(self, x):
        return self.tail(self.features(x))


@pytest.fixture(scope="module")
def case():
    """(network, images, evidence): classes whose Grad-CAM is not empty."""
    net = Net().double().eval()
    x = torch.randn(B, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5)).double()
    x = nn.functional.avg_pool2d(x, 3, 1, 1) * 4
    with torch.no_grad():
        A = net.features(x)
        logits = net.tail(A)

    def see(images):
        features = net.features(images)
        return net.tail(features), features, Tail(net.tail)

    e = Evidence(A, logits, logits.argmax(1), Tail(net.tail), None, "logit", None, x, see,
                 Effort(samples=3))  # fmt: skip
    every = [
        explain(METHODS["gradcam"], e.with_(index=torch.full((B,), c))).amax((1, 2))
        for c in range(C)
    ]
    return net, x, e.with_(index=torch.stack(every).argmax(0))


def cosine(a, b):
    """The worst of a batch, of what is positive."""
    a, b = (torch.as_tensor(np.asarray(m)).double().clamp(min=0).flatten(1) for m in (a, b))
    return float(torch.cosine_similarity(a, b).min())


def grad_cams(make, case, targets=True, **options):
    net, x, e = case
    index = [targets_of(int(c)) for c in e.index] if targets else None
    with make(model=net, target_layers=[net.act_two], **options) as method:
        return method(input_tensor=x, targets=index)


def torchcams(make, case, **options):
    """Unscaled; the extractor itself is given to `options["prepare"]` first."""
    net, x, e = case
    prepare = options.pop("prepare", lambda extractor: None)
    with make(net, net.act_two, **options) as extractor:
        scores = net(x)
        prepare(extractor)
        (got,) = extractor(e.index.tolist(), scores, normalized=False)
    return got.detach()


def mine(name, case, **changes):
    return explain(METHODS[name], case[2].with_(**changes))


def defined(package):
    """Every class that a file of a package defines, also one that nothing exports yet."""
    found = set()
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        values = vars(importlib.import_module(module.name))
        found |= {
            name
            for name, kind in values.items()
            if inspect.isclass(kind) and kind.__module__ == module.name and name[0] != "_"
        }
    return found


def test_nothing_of_theirs_is_forgotten():
    """A new method of theirs has no row in the table above yet; their metrics have their own."""
    metrics = importlib.import_module("pytorch_grad_cam.metrics")
    targets = set(vars(importlib.import_module(targets_of.__module__)))
    no_method = {"AblationLayer", "AblationLayerVit", "AblationLayerFasterRCNN", "BaseCAM",
                 "AblationCAM", "ActivationsAndGradients", "DeepFeatureFactorization"}  # fmt: skip
    theirs = defined(peer) - defined(metrics) - targets - no_method
    theirs |= {n for n, kind in vars(torchcam).items() if isinstance(kind, type)}
    assert len(theirs) > 25
    assert not [name for name in theirs if not re.search(rf"\b{name}\b", str(__doc__))]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("gradcam", peer.GradCAM), ("gradcam++", peer.GradCAMPlusPlus),
        ("layercam", peer.LayerCAM), ("hirescam", peer.HiResCAM), ("shapleycam", peer.ShapleyCAM),
        ("scorecam-softmax", peer.ScoreCAM), ("ablationcam", peer.AblationCAM),
    ],
)  # fmt: skip
def test_the_same_as_grad_cam(case, name, make):
    """Also where ε = 1e-6 is small beside g², as here: Grad-CAM++'s weights are then eq. 19."""
    e = case[2]
    if name == "ablationcam":  # theirs divides by S, ours by |S|
        e = e.with_(index=e.logits.argmax(1))
        assert e.logits.amax(1).min() > 0
    other = (case[0], case[1], e)
    assert cosine(scaled(mine(name, other)), grad_cams(make, other)) > 0.999


def scaled(maps):
    """As grad-cam draws it, which subtracts the minimum after the ReLU."""
    maps = maps.clamp(min=0)
    maps = maps - maps.amin((1, 2), keepdim=True)
    return maps / maps.amax((1, 2), keepdim=True)


@pytest.mark.parametrize(
    ("name", "make"), [("eigengradcam", peer.EigenGradCAM), ("kpcacam", peer.KPCA_CAM),
                       ("eigencam", peer.EigenCAM)]
)  # fmt: skip
def test_components_of_centred_features(case, name, make):
    """The package centres first, which Eigen-CAM (eq. 4) does not, and takes either sign."""
    e = case[2]
    rows = e.A if name != "eigengradcam" else e.gradient() * e.A
    rows = rows - rows.mean((2, 3), keepdim=True)
    got = kpcacam(rows) if name == "kpcacam" else first_component(rows)
    other = grad_cams(make, case)
    for b in range(B):
        best = max(cosine(scaled(sign * got[b : b + 1]), other[b : b + 1]) for sign in (1, -1))
        assert best > 0.999
    own = scaled(mine(name, case))
    assert cosine(own, scaled(got)) < 0.999, "centring matters"


def test_random(case, monkeypatch):
    v = torch.rand(B, K).double() * 2 - 1
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: v.numpy())
    monkeypatch.setattr(torch, "rand", lambda *_, **__: (v[0] + 1) / 2)
    got = mine("random", case)
    assert cosine(scaled(got[:1]), grad_cams(peer.RandomCAM, case)[:1]) > 0.999


def test_finercam_compares_evenly(case):
    """arXiv 2501.11309: S_c - γ mean(S_d). grad-cam's target weighs the S_d by their softmax."""
    net, x, e = case
    e = e.with_(index=e.logits.argmax(1))
    others = nearest_classes(e.logits, e.index, 3)

    def truth(score):
        leaf = e.A.clone().requires_grad_(True)
        logits = net.tail(leaf)
        (g,) = torch.autograd.grad(score(logits).sum(), leaf)
        return (g.mean((2, 3), keepdim=True) * e.A).sum(1)

    def even(logits):
        return logits.gather(1, e.index[:, None])[:, 0] - logits.gather(1, others).mean(1)

    def weighted(logits):
        p = logits.softmax(1).gather(1, others)
        gaps = logits.gather(1, e.index[:, None]) - logits.gather(1, others)
        return (p * gaps).sum(1) / p.sum(1)  # its p is differentiated, too

    ours = explain(METHODS["finercam"], e)
    torch.testing.assert_close(ours, truth(even), rtol=1e-9, atol=1e-12)
    theirs = grad_cams(peer.FinerCAM, case, targets=False)
    assert cosine(scaled(truth(weighted)), theirs) > 0.9999
    assert cosine(scaled(ours), theirs) < 0.999

    gamma_one = torchcams(torchcam.FinerCAM, (net, x, e), gamma=1.0)
    torch.testing.assert_close(gamma_one, ours.clamp(min=0), rtol=1e-9, atol=1e-12)


def test_torchcams_cam():
    """Theirs is ours before the ReLU, which it leaves out."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).double()
    x = torch.randn(2, 3, 9, 9).double()
    with torchcam.CAM(net, "1", "4") as extractor, torch.no_grad():
        net(x)
        (theirs,) = extractor([0, 2], normalized=False)
    A = net[1](net[0](x)).detach()
    ours = torch.einsum("bk,bkhw->bhw", net[4].weight[[0, 2]].detach(), A)
    torch.testing.assert_close(theirs, ours)
    assert theirs.min() < 0
    e = Evidence(
        A,
        net(x).detach(),
        torch.tensor([0, 2]),
        Tail(net[2:]),
        LinearHead(net[4].weight.detach(), net[4].bias.detach()),
    )
    torch.testing.assert_close(explain(METHODS["cam"], e), ours)


def test_torchcams_gradcam_plus_plus_never_divides(case):
    """It divides a copy: its weights are Σ g² max(g, 0), not eq. 19."""
    e = case[2]
    g = e.gradient()
    undivided = ((g**2 * g.clamp(min=0)).sum((2, 3), keepdim=True) * e.A).sum(1)
    alpha = g**2 / (2 * g**2 + e.A.sum((2, 3), keepdim=True) * g**3)
    alpha[g == 0] = 0
    truth = ((alpha * g.clamp(min=0)).sum((2, 3), keepdim=True) * e.A).sum(1)
    theirs = torchcams(torchcam.GradCAMpp, case)
    torch.testing.assert_close(theirs, undivided.clamp(min=0), rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(mine("gradcam++", case), truth, rtol=1e-9, atol=1e-15)
    assert cosine(theirs, truth) < 0.999


def test_torchcams_smoothgradcam_plus_plus(case, monkeypatch):
    """1908.01224 averages g, g² and g³ over noisy copies of the image, and weighs its features.

    torchcam takes g from the last copy alone and weighs the last copy's features; and it has
    Σ_ab A_ab g³_ab in the denominator, for Σ_ab A_ab times g³_ij (eq. 19 of 1710.11063).
    """
    net, x, e = case
    noise = torch.randn(4, *x.shape[1:], generator=torch.Generator().manual_seed(0)).double()
    copies = [x + 0.3 * one for one in noise]
    monkeypatch.setattr("camcli.cam.noise.noisy_images", lambda _: iter(copies))
    left = iter(noise)

    class Noise:
        def sample(self, size):
            return 0.3 * next(left).expand(size)

    def prepare(extractor):
        extractor._distrib = Noise()

    features = [net.features(copy).detach().requires_grad_(True) for copy in copies]
    gs = torch.stack(
        [torch.autograd.grad(net.tail(A).gather(1, e.index[:, None]).sum(), A)[0] for A in features]
    )
    g2, g3 = (gs**2).mean(0), (gs**3).mean(0)

    def made(g, third, A):
        alpha = g2 / (2 * g2 + third)
        alpha[g2 == 0] = 0
        return ((alpha * g.clamp(min=0)).sum((2, 3), keepdim=True) * A).sum(1)

    truth = made(gs.mean(0), e.A.sum((2, 3), keepdim=True) * g3, e.A)
    ours = mine("smoothgradcam++", case, effort=Effort(samples=4))
    torch.testing.assert_close(ours, truth, rtol=1e-8, atol=1e-12)
    theirs = torchcams(torchcam.SmoothGradCAMpp, case, num_samples=4, prepare=prepare)
    read = made(gs[-1], (e.A * g3).sum((2, 3), keepdim=True), features[-1].detach())
    assert cosine(theirs, read) > 0.999
    assert cosine(theirs, ours) < 0.999


def masked_scores(case, change):
    """(B, K) logits of the class when image b is multiplied by change(mask of channel k, k)."""
    net, x, e = case
    low, high = e.A.amin((2, 3), keepdim=True), e.A.amax((2, 3), keepdim=True)
    masks = (e.A - low) / (high - low)
    with torch.no_grad():
        rows = [[net(x[b : b + 1] * change(masks[b, k], k))[0] for k in range(K)] for b in range(B)]
    return torch.stack([torch.stack(row) for row in rows])


def weighed(case, v):
    return torch.einsum("bk,bkhw->bhw", v, case[2].A)


def of_class(case, values):
    """(B, K, C) -> (B, K)."""
    return values.gather(2, case[2].index[:, None, None].expand(-1, K, 1))[:, :, 0]


def family(case, changes):
    """By the papers' formulas: (mean probability as weight, softmax over channels of mean logit).

    The first is Score-CAM's authors' code, the second their eq. 5 and Algorithm 1 as torchcam
    reads them: in front of the softmax over channels the logits' differences to the whole image's.
    """
    scores = [masked_scores(case, change) for change in changes]
    probability = torch.stack([of_class(case, s.softmax(2)) for s in scores]).mean(0)
    logit = torch.stack([of_class(case, s) for s in scores]).mean(0)
    return weighed(case, probability), weighed(case, logit.softmax(1))


def test_torchcams_scorecam(case):
    ours, theirs = family(case, [lambda mask, k: mask])
    got = torchcams(torchcam.ScoreCAM, case)
    assert cosine(got, theirs) > 0.999
    assert cosine(got, mine("scorecam-softmax", case)) > 0.999
    torch.testing.assert_close(mine("scorecam", case, score="probability"), ours)


def test_torchcams_sscam(case, monkeypatch):
    """The same noise for both: 2 σ on each mask of each channel, mean over three."""
    noise = torch.randn(3, K, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).double()
    monkeypatch.setattr(
        masking, "_noise",
        lambda masks, channels, seed, sample: noise[sample][channels][:, None],
    )  # fmt: skip
    left = iter(noise)

    class Noise:
        def sample(self, size):
            return 2 * next(left).expand(size)

    def prepare(extractor):
        extractor._distrib = Noise()

    changes = [lambda mask, k, n=n: mask + 2 * noise[n, k] for n in range(3)]
    ours, theirs = family(case, changes)
    got = torchcams(torchcam.SSCAM, case, num_samples=3, prepare=prepare)
    assert cosine(got, theirs) > 0.999
    torch.testing.assert_close(mine("sscam", case, score="probability"), ours)


def test_torchcams_iscam_adds_its_factors_up(case):
    """2010.03023 goes from nothing to the mask, i/N of it; torchcam's factors are sums of those."""
    N = 3
    ours, straight = family(case, [lambda mask, k, i=i: mask * i / N for i in range(1, N + 1)])
    sums = [sum(range(1, i + 1)) / N for i in range(1, N + 1)]
    assert max(sums) > 1
    _, theirs = family(case, [lambda mask, k, s=s: mask * s for s in sums])
    got = torchcams(torchcam.ISCAM, case, num_samples=N)
    assert cosine(got, theirs) > 0.999
    assert cosine(got, straight) < 0.999
    torch.testing.assert_close(mine("iscam", case, score="probability"), ours)


@pytest.mark.parametrize(
    ("package", "base"),
    [
        ("grad-cam", "LayerCAM"), ("grad-cam", "GradCAM"), ("grad-cam", "GradCAMPlusPlus"),
        ("torchcam", "LayerCAM"), ("torchcam", "GradCAM"),
    ],
)  # fmt: skip
def test_refinecam_is_a_product_of_layers(case, package, base):
    """Both subtract each layer's minimum; here that is zero, as of most maps after the ReLU.

    So does the authors' own code (github.com/liuktc/RefineCAM), which brings each layer's map to
    the input's size, scales it from its minimum to its maximum, and multiplies. Theirs takes
    Grad-CAM++, which torchcam has without its denominator.
    """
    net, x, e = case
    with torch.no_grad():
        first = net.first(x)
    inner = e.with_(A=first, tail=Tail(net.after_first))
    name = {"LayerCAM": "refinecam", "GradCAM": "gradcam", "GradCAMPlusPlus": "gradcam++"}[base]
    ours = fused([explain(METHODS[name], part) for part in (inner, e)], "product")
    if package == "torchcam":
        layers = [net.act_one, net.act_two]
        with torchcam.RefineCAM(net, layers, base_method=getattr(torchcam, base)) as extractor:
            (theirs,) = extractor(e.index.tolist(), net(x))
    else:
        method = peer.RefineCAM(net, [net.act_one, net.act_two], base_method=getattr(peer, base))
        theirs = method(x, [targets_of(int(c)) for c in e.index])
    assert cosine(ours, theirs) > 0.999
