"""TorchScript and torch.export: made networks of layers again, with the maps of the original."""

import io
import json
import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from typer.testing import CliRunner

from camcli.batch.explain import make_explanation
from camcli.cli.app import app
from camcli.errors import CamcliError, UsageError
from camcli.models.forms.registry import form_of
from camcli.models.load import load_classifier
from camcli.models.weights.programs import strangers

SIDE = 32


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=2)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    """GAP + linear, with writes in place and dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.layer2 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = self.layer2(self.layer1(self.pool(self.stem(x))))
        return self.fc(self.drop(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


class Sized(nn.Module):
    """Sizes in its shapes, a nonlinear tail and a softmax at the end."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.GELU(), nn.Conv2d(6, 6, 1))
        self.fc1, self.fc2 = nn.Linear(6 * 64, 10), nn.Linear(10, 4)

    def forward(self, x):
        x = self.body(x)
        x = x.view(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])
        return torch.softmax(self.fc2(torch.relu(self.fc1(x))), 1)


class Tokens(nn.Module):
    """A small transformer with a class token."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.qkv = nn.Linear(16, 48)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        for _ in range(2):
            b, n, d = x.shape
            qkv = self.qkv(self.norm(x)).reshape(b, n, 3, 2, 8).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
            x = x + y.transpose(1, 2).reshape(b, n, d)
        return self.head(x[:, 0])


class Heads(Tokens):
    """The same with attention written out: the width of a head, and its root, are computed."""

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        for _ in range(2):
            b, n, d = x.shape
            qkv = self.qkv(self.norm(x)).reshape(b, n, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
            y = torch.softmax(qkv[0] @ qkv[1].transpose(-2, -1) * (d // 2) ** -0.5, -1) @ qkv[2]
            x = x + y.transpose(1, 2).reshape(b, n, (d // 2) * 2)
        return self.head(x[:, 0])


class Multi(nn.Module):
    """A transformer of torch's own layer, whose width of a head is a division that is cut off."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x[:, 0])


NETWORKS = {
    "residual": Residual, "sized": Sized, "tokens": Tokens, "heads": Heads, "multi": Multi,
}  # fmt: skip


def made(name):
    torch.manual_seed(0)
    net = NETWORKS[name]().eval()
    for module in net.modules():  # running statistics that are not those of the start
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


def images(count):
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


def scripted(net):
    return torch.jit.script(net)


def traced(net):
    return torch.jit.trace(net, images(1), check_trace=False)


def frozen(net):
    return torch.jit.freeze(torch.jit.script(net))


def exported(net):
    free = ({0: torch.export.Dim("batch")},)
    return torch.export.export(net, (images(2),), dynamic_shapes=free)


def for_one(net):
    return torch.export.export(net, (images(1),))


def decomposed(net):
    return exported(net).run_decompositions()


WAYS = {
    "scripted": scripted, "traced": traced, "frozen": frozen, "exported": exported,
    "for one": for_one, "decomposed": decomposed,
}  # fmt: skip


def written(program, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(program, torch.export.ExportedProgram):
            torch.export.save(program, path)
        else:
            torch.jit.save(program, str(path))
    return path


def cosine(a, b):
    return float(F.cosine_similarity(a.flatten(1), b.flatten(1)).min())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_programs_have_the_probabilities_and_the_maps_of_their_network(tmp_path, name, way):
    net = made(name)
    if name == "multi" and way in ("scripted", "frozen"):
        pytest.skip("torch has no derivative of the fused layer that it writes down")
    path = written(WAYS[way](net), tmp_path / "program.bin")
    assert form_of(path).name == ("torchscript" if way in ("scripted", "traced", "frozen")
                                  else "exported")  # fmt: skip
    classifier = load_classifier(str(path), input_size=SIDE, preprocess="none")
    original = load_classifier(net, input_size=SIDE, preprocess="none")
    x = images(3)
    seen, truth = classifier.see(x), original.see(x)
    expected = net(x) if name == "sized" else net(x).softmax(1)
    assert torch.allclose(classifier.probabilities(seen.logits), expected, atol=1e-4)
    assert seen.parts[0].A.shape == truth.parts[0].A.shape
    assert torch.allclose(seen.parts[0].A, truth.parts[0].A, atol=1e-4)
    # Grad-CAM by autograd on the original, from its map on.
    A, tail = original.cut.split(x)[-1] if original.cut else (original.features(x), original.tail)
    A = A.detach().requires_grad_()
    target = expected.argmax(1)
    score = tail(A).gather(1, target[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, A)
    wanted = (gradient.mean((2, 3), keepdim=True) * A).sum(1)
    part = seen.parts[0]
    B = part.A.detach().clone().requires_grad_()
    (own,) = torch.autograd.grad(part.tail(B).gather(1, target[:, None]).sum(), B)
    got = (own.mean((2, 3), keepdim=True) * B).sum(1)
    assert cosine(got, wanted) >= 0.999
    assert (part.head is None) == (truth.parts[0].head is None)
    if name == "residual":
        assert part.head is not None
        assert torch.equal(part.head.weight, net.fc.weight)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["scripted", "exported"])
def test_layers_keep_their_names(tmp_path, way):
    net = made("residual")
    path = written(WAYS[way](net), tmp_path / "p.pt")
    for layer in ("layer1", "layer1.0", "layer1.0.bn1", "stem"):
        own = load_classifier(str(path), input_size=SIDE, layer=layer)
        truth = load_classifier(net, input_size=SIDE, layer=layer)
        assert torch.allclose(own.see(images(2)).parts[0].A, truth.see(images(2)).parts[0].A,
                              atol=1e-5), layer  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_factories_may_return_programs(tmp_path, monkeypatch):
    net = made("residual")
    written(scripted(net), tmp_path / "s.pt")
    written(exported(net), tmp_path / "e.pt2")
    (tmp_path / "program_nets.py").write_text(
        "import torch\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"
        "def script():\n    return torch.jit.load(str(HERE / 's.pt'))\n"
        "def program():\n    return torch.export.load(HERE / 'e.pt2')\n"
        "def module():\n    return program().module()\n"
        "def inside():\n"
        "    return torch.nn.Sequential(torch.nn.Identity(), script(), torch.nn.Sigmoid())\n"
    )
    truth = load_classifier(net, input_size=SIDE, preprocess="none")
    for factory in ("script", "program", "module", "inside"):
        own = load_classifier(
            f"{tmp_path}/program_nets.py:{factory}", input_size=SIDE, preprocess="none"
        )
        x = images(2)
        assert torch.allclose(own.see(x).logits, truth.see(x).logits, atol=1e-4), factory
        assert own.head is not None, factory


@pytest.mark.filterwarnings("ignore")
def test_a_program_for_one_picture_that_mixes_rows_says_how_to_export_it(tmp_path):
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            x = self.conv(x).permute(0, 2, 3, 1).reshape(-1, 4)
            return self.fc(x.mean(0, keepdim=True))

    path = written(for_one(Mixing().eval()), tmp_path / "one.pt2")
    with pytest.raises(CamcliError, match=r"for 1 image at a time.*dynamic_shapes=\(\{0:"):
        load_classifier(str(path))


class Several(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.conv, self.fc, self.form = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), form

    def forward(self, x):
        y = self.fc(torch.relu(self.conv(x)).mean((2, 3)))
        if self.form == "dict":
            return {"logits": y, "loss": y.sum(1)}
        return (y, y * 2) if self.form == "tuple" else (y, y[:, :1])


@pytest.mark.filterwarnings("ignore")
def test_logits_are_taken_by_name_and_of_several_answers_it_is_told(tmp_path):
    net = Several("dict").eval()
    path = written(exported(net), tmp_path / "p.pt2")
    x = images(2)
    seen = load_classifier(str(path), preprocess="none").see(x)
    assert torch.allclose(seen.logits, net(x)["logits"], atol=1e-5)
    path = written(exported(net := Several("tuple").eval()), tmp_path / "r.pt2")
    classifier = load_classifier(str(path), preprocess="none")
    assert torch.allclose(classifier.see(x).logits, net(x)[0], atol=1e-5)
    assert any("number 0 of what it returns" in note for note in classifier.provenance.notes)
    path = written(exported(Several("odd").eval()), tmp_path / "q.pt2")
    with pytest.raises(CamcliError, match="returns 2 values"):
        load_classifier(str(path))


def test_the_size_that_a_program_was_exported_for_is_its_own(tmp_path):
    path = written(exported(made("residual")), tmp_path / "p.pt2")
    classifier = load_classifier(str(path))
    assert classifier.preprocess.shape == (3, SIDE, SIDE)
    assert any("a program of torch.export" in note for note in classifier.provenance.notes)


# --- what a program may do -----------------------------------------------------------------------


class Saves(nn.Module):
    def __init__(self, mark: str):
        super().__init__()
        self.fc, self.mark = nn.Linear(3, 2), mark

    def forward(self, x):
        torch.save(x, self.mark)
        return self.fc(x.mean((2, 3)))


class Maps(nn.Module):
    def __init__(self, mark: str):
        super().__init__()
        self.fc, self.mark = nn.Linear(3, 2), mark

    def forward(self, x):
        y = torch.from_file(self.mark, True, 2, dtype=torch.float32)
        return self.fc(x.mean((2, 3))) + y


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [Saves, Maps])
def test_scripts_that_would_write_a_file_are_not_opened(tmp_path, kind):
    mark = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    try:
        torch.jit.script(kind(str(mark))).save(str(path))
    except Exception as error:
        pytest.skip(f"TorchScript refuses it itself: {error}")
    assert strangers(path, "torchscript")
    for arguments in (["--model", str(path)], ["--model", "resnet18", "--weights", str(path)]):
        result = CliRunner().invoke(app, ["explain", str(path), *arguments])
        assert result.exit_code in (1, 2)
    with pytest.raises(UsageError, match="--trust-pickle"):
        load_classifier(str(path))
    assert not mark.exists()


def changed(path, change):
    """The same archive with each member given to a function."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


class Call:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return type(self.mark).touch, (self.mark,)


def evil_tensor(mark):
    def change(name, data):
        if name.endswith("weights_config.json"):
            config = json.loads(data)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config)
        buffer = io.BytesIO()
        torch.save(Call(mark), buffer)
        return buffer.getvalue() if name.endswith("/weight_0") else data

    return change


def evil_samples(mark):
    buffer = io.BytesIO()
    torch.save(Call(mark), buffer)
    return lambda name, data: buffer.getvalue() if "sample_inputs" in name else data


def evil_size(mark):
    text = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    return lambda name, data: (
        data.replace(b"Symbol('", json.dumps(text)[1:-1].encode() + b" or Symbol('")
        if name.endswith("models/model.json") else data
    )  # fmt: skip


def evil_target(mark):
    return lambda name, data: (
        data.replace(b"torch.ops.aten.relu.default", b"torch.ops.image.write_file.default")
        if name.endswith("models/model.json") else data
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("evil", [evil_tensor, evil_samples, evil_size, evil_target])
def test_exports_that_would_run_code_are_not_opened(tmp_path, evil):
    mark = tmp_path / "ran"
    path = written(exported(made("residual")), tmp_path / "evil.pt2")
    assert strangers(path, "exported") == []
    changed(path, evil(mark))
    assert strangers(path, "exported")
    with pytest.raises(UsageError, match="--trust-pickle"):
        load_classifier(str(path))
    result = CliRunner().invoke(app, ["explain", str(path), "--model", str(path)])
    assert result.exit_code == 2
    assert not mark.exists()


def test_an_old_export_and_a_damaged_one(tmp_path):
    path = tmp_path / "old.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", pickle.dumps({}))
    with pytest.raises(UsageError, match=r"before torch 2.8.*\n.*--trust-pickle"):
        load_classifier(str(path))
    with pytest.raises(CamcliError, match="cannot be opened by torch"):
        load_classifier(str(path), trust_pickle=True)
    written(exported(made("residual")), path)
    changed(path, lambda name, data: b"{" if name.endswith("models/model.json") else data)
    with pytest.raises(CamcliError, match="damaged"):
        load_classifier(str(path))


@pytest.mark.parametrize(
    "way", [torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(1, 1, 28, 28))]
)
def test_a_program_of_one_channel_and_one_size_is_found_out(tmp_path, way):
    """As MNIST's networks are in every tutorial: a program has no layers that could be asked."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 13 * 13, 10)
    ).eval()
    path = tmp_path / "mnist.pt"
    torch.jit.script(net).save(str(path))
    classifier = load_classifier(str(path), device="cpu")
    assert classifier.preprocess.shape == (1, 28, 28)
    pixels = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(classifier.see(pixels).logits, net(pixels))


@pytest.mark.parametrize("name", ["tokens", "heads", "multi"])
@pytest.mark.parametrize("way", ["traced", "exported"])
def test_attention_in_a_program_is_told_as_a_programs(tmp_path, name, way):
    """The network attends as any other: what is not followed is how a program writes it down."""
    path = tmp_path / ("net.pt" if way == "traced" else "net.pt2")
    written((traced if way == "traced" else exported)(made(name)), path)
    classifier = load_classifier(str(path), device="cpu", preprocess=f"size={SIDE}")
    with pytest.raises(UsageError, match=r"is a program .*\(--model FILE\.py:FACTORY") as told:
        make_explanation(classifier, method="legrad")
    assert "mixes heads" not in str(told.value)
    assert "where the network is cut" in make_explanation(classifier, method="attnlrp").told
    plain = load_classifier(made(name), preprocess=f"size={SIDE}", device="cpu")
    assert "where the network is cut" not in make_explanation(plain, method="attnlrp").told
