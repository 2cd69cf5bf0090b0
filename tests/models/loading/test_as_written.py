"""Networks as people write them: they write into their input, leave dropout on, want one size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.cut import NoMapError, cut
from camcli.models.cutting.listing import list_layers
from camcli.models.load import load_classifier
from camcli.models.loading.own.cuda_code import without_cuda
from camcli.models.loading.own.input_size import answers_of

SIZE = 32


def backbone(channels: int = 3, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, outputs),
    ).eval()  # fmt: skip


class Net(nn.Module):
    """A network whose forward is written below."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.net, self.how = backbone(), forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.how(self, x)


def images(count: int = 3, shape=(3, SIZE, SIZE)) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(4))


# --- into the input ------------------------------------------------------------------------------


def chained(self, x):
    return self.net(x.sub_(0.5).div_(0.5))


def statements(self, x):
    x.sub_(0.5)
    x.div_(0.5)
    return self.net(x)


def augmented(self, x):
    x -= 0.5
    x /= 0.5
    return self.net(x)


def a_channel(self, x):
    x[:, 0] = (x[:, 0] - 0.5) * 2
    return self.net(x)


def a_part(self, x):
    x[:, :, 8:].mul_(0.5)
    return self.net(x)


def activated(self, x):
    return self.net(functional.relu(x, inplace=True) - 0.3)


def twice(self, x):
    first = x.relu_()
    return self.net(x + first)


@pytest.mark.parametrize(
    "forward", [chained, statements, augmented, a_channel, a_part, activated, twice]
)
def test_what_writes_into_its_input_works_and_the_input_stays(forward):
    module = Net(forward).eval()
    halves = cut(module, SIZE)
    x = images() - 0.5
    kept = x.clone()
    with torch.no_grad():
        truth = module(x.clone())
        for _ in range(2):
            ((A, tail),) = halves.split(x)
            torch.testing.assert_close(tail(A), truth, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, kept)
    assert halves.head is not None
    assert list_layers(module, SIZE)


def test_a_value_that_is_written_over_in_the_middle_is_followed():
    def forward(self, x):
        x = self.net[:4](x)
        x.add_(0.1)
        x.relu_()
        return self.net[5:](x)

    halves = cut(Net(forward).eval(), SIZE)
    with torch.no_grad():
        ((A, tail),) = halves.split(images())
        torch.testing.assert_close(tail(A), Net(forward).eval()(images()))


# --- chance and the batch ------------------------------------------------------------------------


class AlwaysTraining(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(True)


class AlwaysDropping(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


def left_on(self, x):
    return self.net[-1](functional.dropout(self.net[:-1](x), 0.5))


def module_left_on(self, x):
    return self.net[-1](self.drop(self.net[:-1](x)))


def noisy(self, x):
    return self.net(x + torch.randn_like(x))


def deep(self, x):
    from torchvision.ops import stochastic_depth

    return self.net(x + stochastic_depth(3 * x, 0.5, "row", training=True))


def branching(self, x):
    if float(x.sum()) > 1e9:
        x = x + 1
    return left_on(self, x)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Net(left_on), "dropout is on at 'Net'"),
        (Net(branching), "dropout is on at 'Net'"),
        (Net(module_left_on, drop=AlwaysDropping()), "dropout is on at 'drop'"),
        (Net(noisy), "random numbers at 'Net'"),
        (Net(deep), "random numbers at 'Net'"),
    ],
    ids=["function", "not traceable", "module", "noise", "stochastic depth"],
)
def test_what_answers_differently_each_time_says_why(module, said):
    with pytest.raises(CamcliError, match=f"answers differently each time.*{said}"):
        cut(module.eval(), SIZE)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_what_depends_on_the_batch_says_why():
    def forward(self, x):
        return self.net(self.norm(x))

    for norm in (AlwaysTraining(3), nn.BatchNorm2d(3, track_running_stats=False)):
        with pytest.raises(CamcliError, match=r"in the batch.*own statistics at 'norm'"):
            cut(Net(forward, norm=norm).eval(), SIZE)


def test_dropout_that_is_off_is_none():
    def forward(self, x):
        return self.net(functional.dropout(self.drop(x), 0.5, training=self.training))

    assert cut(Net(forward, drop=nn.Dropout()).eval(), SIZE).head is not None


# --- what it takes -------------------------------------------------------------------------------


def small() -> nn.Sequential:
    """For 64 x 64 pixels and no others."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 16 * 16, 2),
    )  # fmt: skip


OWN = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(8 * 16 * 16, 2))

def pooled(channels=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1),
                         nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

def on_gpu():
    net = pooled().cuda()
    net.register_buffer("extra", torch.zeros(3, device="cuda").to("cuda:0"))
    return net.to(torch.device("cuda"))

def grey():
    return pooled(1)

def four():
    return pooled(4)

def wide():
    net = pooled()
    net.pretrained_cfg = dict(input_size=(3, 32, 64), mean=(0.5,) * 3, std=(0.5,) * 3)
    return net
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "nets_as_written.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "nets_as_written:{}".format


def test_a_size_that_is_given_is_the_first_that_is_tried(own):
    classifier = load_classifier(own("small"), input_size=64, device="cpu")
    assert classifier.preprocess.size == 64
    pixels = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    truth = small().eval()(classifier.preprocess.normalise(pixels))
    torch.testing.assert_close(classifier(pixels)[1], truth, rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="It takes 64x64: add --input-size 64"):
        load_classifier(own("small"), device="cpu", input_size=96)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_factory_that_ends_in_cuda_runs_without(own):
    classifier = load_classifier(own("on_gpu"), device="cpu", input_size=32)
    assert classifier.head is not None
    with without_cuda():
        made = torch.ones(2, device="cuda"), torch.ones(2).to(device="cuda:1").cuda()
    assert {t.device.type for t in made} == {"cpu"}
    with pytest.raises((AssertionError, RuntimeError)):
        torch.ones(2).cuda()


def test_a_grey_network_sees_the_luminance(own):
    from PIL import Image

    classifier = load_classifier(own("grey"), device="cpu", input_size=32)
    assert classifier.preprocess.grey
    assert classifier.preprocess.shape == (1, 32, 32)
    rgb = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    seen = classifier.preprocess.with_(fit="squash").tensor(rgb)
    light = np.asarray(Image.fromarray(rgb).convert("L"), np.float32) / 255
    mean, std = 0.449, 0.226  # of ImageNet's three
    truth = torch.from_numpy((light - mean) / std)[None, None]
    torch.testing.assert_close(seen, truth, rtol=0, atol=0.5 / 255 / std + 1e-3)
    A, logits = classifier(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    torch.testing.assert_close(classifier.head(A), logits)
    again = Preprocess.from_dict(classifier.preprocess.to_dict())
    assert again == classifier.preprocess
    assert "grey" not in Preprocess().to_dict(), "older runs are resumed"
    assert load_classifier(own("four"), device="cpu").preprocess.shape[0] == 4


@pytest.mark.slow
def test_a_rectangle_is_seen_as_one(own, tmp_path):
    from PIL import Image

    from camcli.data.sources.find import find_images

    classifier = load_classifier(own("wide"), device="cpu")
    assert classifier.preprocess.shape == (3, 32, 64)
    rgb = np.zeros((90, 300, 3), np.uint8)
    rgb[:, 140:160] = 255
    Image.fromarray(rgb).save(tmp_path / "x.png")
    images = [read(ref, classifier, lambda rgb: rgb) for ref in find_images(tmp_path)]
    assert images[0].pixels.shape == (3, 32, 64)
    x0, y0, x1, y1 = images[0].view
    assert (x1 - x0) / (y1 - y0) == pytest.approx(2, rel=0.02)
    assert (x0 + x1) / 2 == pytest.approx(150, abs=1.5)
    (result,) = explain_batch(classifier, images, make_explanation(classifier))
    assert result.heats[0].heatmap.shape == (8, 16)
    module = classifier.cut or classifier.features
    seen = classifier.preprocess.normalise(images[0].pixels[None])
    assert module(seen).shape[2:] == (8, 16)
    squashed = load_classifier(own("wide"), device="cpu", fit="squash")
    assert squashed.preprocess.view(300, 90) == (0, 0, 300, 90)
    assert squashed.preprocess.pixels(rgb).shape == (3, 32, 64)
    larger = load_classifier(own("wide"), device="cpu", input_size=64)
    assert larger.preprocess.shape == (3, 64, 128)
    assert Preprocess.from_dict(larger.preprocess.to_dict()) == larger.preprocess


@pytest.mark.parametrize("photo", [(300, 90), (90, 300), (64, 64), (10, 3), (129, 64)])
def test_a_rectangle_is_within_the_photograph_and_the_middle(photo):
    wide = Preprocess(size=32, width=64)
    x0, y0, x1, y1 = wide.view(*photo)
    assert 0 <= x0 < x1 <= photo[0] + 1e-6
    assert 0 <= y0 < y1 <= photo[1] + 1e-6
    assert x0 == pytest.approx(photo[0] - x1, abs=photo[0] / 32)
    assert y0 == pytest.approx(photo[1] - y1, abs=photo[1] / 32)
    assert wide.pixels(np.zeros((photo[1], photo[0], 3), np.uint8)).shape == (3, 32, 64)


def test_answers_of_a_squeezed_output():
    def forward(self, x):
        return self.net(x)[:, 0]

    assert answers_of(Net(forward), Preprocess(size=SIZE), "own")[0] == 1


# --- tokens --------------------------------------------------------------------------------------


class Bilinear(nn.Module):
    """Bilinear pooling: the logits from a Gram matrix of K channels, which is no map."""

    def __init__(self, channels=16, stride=4):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride, 1), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 2, 1), nn.ReLU(),
        )  # fmt: skip
        self.square = nn.Identity()
        self.fc = nn.Linear(channels**2, 3)

    def forward(self, x):
        A = self.features(x).flatten(2)
        gram = self.square(torch.bmm(A, A.transpose(1, 2)) / A.shape[2])
        return self.fc(gram.flatten(1))


@pytest.mark.parametrize("branches", [False, True], ids=["graph", "hooks"])
@pytest.mark.parametrize(("stride", "side"), [(4, 4), (2, 8)])
def test_a_gram_matrix_is_no_map(stride, side, branches):
    """Of 16 channels; with 4 x 4 places it has as many rows as there are places."""
    module = Bilinear(16, stride).eval()
    if branches:
        plain = module.forward
        module.forward = lambda x: plain(x if x.sum() < 1e9 else -x)
    halves = cut(module, SIZE)
    assert halves.layer.startswith("features"), halves.layer
    assert halves.places[0].shape == (16, side, side)
    assert "square" not in [layer.name for layer in list_layers(module, SIZE)]


class Tokens(nn.Module):
    """A small transformer with a class token, on a grid of its own."""

    def __init__(self, width, patch, image):
        super().__init__()
        torch.manual_seed(0)
        self.grid = image[0] // patch, image[1] // patch
        self.proj = nn.Conv2d(3, width, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.pos = nn.Parameter(torch.randn(1, self.grid[0] * self.grid[1] + 1, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True) for _ in range(2)
        )
        self.fc = nn.Linear(width, 3)

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.fc(x[:, 0])


@pytest.mark.parametrize("image", [(32, 32), (32, 64), (64, 32)])
@pytest.mark.parametrize("width", [16, 32, 33])
def test_tokens_lie_on_the_networks_own_grid(image, width):
    """Also where they are as many as the channels, and where the grid is no square."""
    module = Tokens(2 * (width // 2), 8, image).eval()
    halves = cut(module, (3, *image), ("blocks.0",))
    place = halves.places[0]
    assert place.shape[1:] == module.grid
    x = images(2, (3, *image))
    with torch.no_grad():
        ((A, tail),) = halves.split(x)
        torch.testing.assert_close(tail(A), module(x), rtol=1e-4, atol=1e-4)
        changed = x.clone()
        changed[:, :, 8:16, 16:24] += 5  # the patch in row 1 and column 2
        ((B, _),) = halves.split(changed)
    most = (A - B).norm(dim=1).flatten(1).argmax(1)
    assert most.tolist() == [module.grid[1] + 2] * 2


def test_a_network_of_tokens_alone_has_no_map_by_their_number():
    """A mixture of 16 experts' vectors looks like a 4 x 4 grid of tokens."""

    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.stem = nn.Linear(3 * SIZE * SIZE, 16 * 8)
            self.fc = nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(self.stem(x.flatten(1)).reshape(-1, 16, 8).mean(1))

    with pytest.raises(NoMapError):
        cut(Experts().eval(), SIZE)
