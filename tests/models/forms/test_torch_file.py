"""A file of tensors alone: which network it is, what was changed in it, and what it then says."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from camcli.errors import UsageError
from camcli.models.cutting.cut import cut
from camcli.models.loading.zoo import build_model

SMALL = "shufflenet_v2_x0_5"  # torchvision's smallest, 6 MB


def trained(classes: int = 3, change=lambda net: None) -> nn.Module:
    torch.manual_seed(0)
    net = models.get_model(SMALL, num_classes=classes)
    change(net)
    for name, tensor in net.state_dict().items():  # as after a training: no layer is as it was made
        if tensor.is_floating_point():
            tensor.add_(0.01 * torch.rand_like(tensor))
            if name.endswith("running_mean"):
                tensor.sub_(0.005)
    return net.eval()


def images(channels: int = 3, size: int = 64) -> torch.Tensor:
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def same(built, net, given=None) -> None:
    given = images() if given is None else given
    with torch.inference_mode():
        assert torch.allclose(built.module(given), net(given), atol=1e-6)


def saved(tmp_path, state, name="own.pth"):
    torch.save(state, tmp_path / name)
    return str(tmp_path / name)


def test_a_network_is_recognised_and_says_what_is_assumed(tmp_path):
    net = trained()
    path = saved(tmp_path, {"model": net.state_dict(), "epoch": 3})
    built = build_model(path, classes=["cat", "dog", "bird"])
    same(built, net)
    assert built.classes == ("cat", "dog", "bird")
    assert built.provenance.name == path
    first, assumed, *_ = built.provenance.notes
    assert f"{SMALL} of torchvision with 3 classes, recognised" in first
    assert "ImageNet mean and std ASSUMED" in assumed
    asked = build_model(path, preprocess="inception")
    assert asked.preprocess.mean == (0.5, 0.5, 0.5)
    assert not any("ASSUMED" in note for note in asked.provenance.notes)


def head(*layers):
    def change(net):
        net.fc = nn.Sequential(*layers) if len(layers) > 1 else layers[0]

    return change


HEADS = {
    "dropout": (head(nn.Dropout(), nn.Linear(1024, 3)), ""),
    "two": (head(nn.Linear(1024, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3)), "ReLU"),
    "norm": (
        head(nn.Linear(1024, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)),
        "Linear 1024-16, BatchNorm, ReLU, Linear 16-3",
    ),
    "norm last": (
        head(nn.Linear(1024, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 3)),
        "Linear 1024-16, ReLU, BatchNorm, Linear 16-3",
    ),
    "norm first": (head(nn.BatchNorm1d(1024), nn.Dropout(), nn.Linear(1024, 3)), "BatchNorm"),
    "no bias": (head(nn.Linear(1024, 3, bias=False)), ""),
    "linear only": (head(nn.Linear(1024, 16), nn.Linear(16, 3)), "Linear 1024-16, Linear 16-3"),
}


@pytest.mark.parametrize("form", HEADS)
@pytest.mark.parametrize("named", [True, False])
def test_a_head_of_ones_own_is_rebuilt_from_its_tensors(tmp_path, form, named):
    change, said = HEADS[form]
    net = trained(change=change)
    path = saved(tmp_path, net.state_dict())
    built = build_model(SMALL, weights=path) if named else build_model(path)
    same(built, net)
    assert len(built.classes) == 3
    notes = " ".join(built.provenance.notes)
    assert said in notes
    assert ("ReLU between its layers is ASSUMED" in notes) == ("ReLU" in said)


def test_the_activation_is_the_architectures_own_where_it_has_one(tmp_path):
    torch.manual_seed(0)
    net = models.mobilenet_v3_small(num_classes=3).eval()
    net.classifier[0], net.classifier[3] = nn.Linear(576, 16), nn.Linear(16, 3)
    built = build_model(saved(tmp_path, net.state_dict()))
    same(built, net)
    assert "Hardswish between its layers is ASSUMED" in " ".join(built.provenance.notes)


@pytest.mark.parametrize(
    ("name", "options"),
    [("vit_tiny_patch16_224", {"img_size": 96}), ("resnet10t", {"in_chans": 1})],
)
@pytest.mark.parametrize("named", [True, False])
def test_timms_networks_of_other_sizes_and_channels(tmp_path, name, options, named):
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=3, **options).eval()
    nn.init.normal_(net.get_classifier().weight)
    path = saved(tmp_path, {"state_dict": net.state_dict()})
    built = build_model(f"timm:{name}", weights=path) if named else build_model(path)
    channels, size = options.get("in_chans", 3), options.get("img_size", 64)
    same(built, net, images(channels, size))
    assert built.preprocess.channels == channels
    if "img_size" in options:
        assert built.preprocess.shape == (3, size, size)


def test_what_else_the_tensors_fit_is_told_with_what_it_does_otherwise(tmp_path):
    torch.manual_seed(0)
    path = saved(tmp_path, timm.create_model("vit_tiny_patch16_224", num_classes=3).state_dict())
    first = build_model(path).provenance.notes[0]
    assert "vit_tiny_patch16_224 of timm with 3 classes" in first
    assert "timm:deit_tiny_patch16_224 (other mean and std)" in first
    assert "timm:vit_tiny_patch16_384 (for 384 pixels)" in first
    assert build_model("timm:deit_tiny_patch16_224", weights=path).preprocess.mean[0] == 0.485


def test_inception_says_what_its_tensors_do_not(tmp_path):
    torch.manual_seed(0)
    net = models.googlenet(num_classes=3, aux_logits=True, init_weights=False).eval()
    built = build_model(saved(tmp_path, net.state_dict()))
    same(built, net)
    assert "--preprocess inception does the same" in " ".join(built.provenance.notes)
    net.transform_input = True
    given = images()
    imagenet, half = built.preprocess, build_model(
        str(tmp_path / "own.pth"), preprocess="inception"
    ).preprocess  # fmt: skip
    pixels = (given * 255).byte()
    with torch.inference_mode():
        wanted = net(imagenet.normalise(pixels))
        assert torch.allclose(built.module(half.normalise(pixels)), wanted, atol=1e-4)


@pytest.mark.slow
def test_names_of_an_earlier_timm(tmp_path):
    """timm's Swin had its downsampling at the end of a stage, and no `fc` in its head."""
    torch.manual_seed(0)
    net = timm.create_model("swin_tiny_patch4_window7_224", num_classes=3).eval()
    older = {
        re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", n)
        .replace("head.fc.", "head."): t
        for n, t in net.state_dict().items()
    }  # fmt: skip
    path = saved(tmp_path, {"state_dict": {f"module.{n}": t for n, t in older.items()}})
    built = build_model(path)
    same(built, net, images(size=224))
    assert "whose names are another version's" in built.provenance.notes[0]


def test_the_bundled_network_with_another_head(tmp_path):
    torch.manual_seed(0)
    net = timm.create_model("tf_efficientnet_lite0", num_classes=3)
    net.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 2))
    net.eval()
    path = saved(tmp_path, net.state_dict())
    same(build_model("efficientnet_lite0", weights=path), net)


class Around(nn.Module):
    """A backbone without a head, and a head beside it."""

    def __init__(self, backbone: nn.Module, **heads: nn.Module):
        super().__init__()
        backbone.fc = nn.Identity()
        self.backbone = backbone
        for name, one in heads.items():
            self.add_module(name, one)

    def forward(self, x):
        x = self.backbone(x)
        for name, one in self.named_children():
            if name != "backbone":
                x = one(x)
        return x


@pytest.mark.parametrize(
    "make",
    [
        lambda net: Around(net, classifier=nn.Linear(1024, 3)),
        lambda net: Around(net, fc1=nn.Linear(1024, 8), act=nn.ReLU(), fc2=nn.Linear(8, 3)),
        lambda net: nn.Sequential(
            *list(net.children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 3)
        ),
        lambda net: nn.Sequential(Around(net), nn.Linear(1024, 3)),
    ],
    ids=["beside", "two beside", "a sequence", "wrapped"],
)
def test_a_head_under_another_name(tmp_path, make):
    net = make(trained()).eval()
    same(build_model(saved(tmp_path, net.state_dict())), net)


def test_an_average_of_the_weights_is_seen_beside_them_whatever_the_head(tmp_path):
    net = trained(change=HEADS["dropout"][0])
    average = torch.optim.swa_utils.AveragedModel(net)
    average.module.fc[1].bias.data += 1
    path = saved(tmp_path, {"model": net.state_dict(), "model_ema": average.state_dict()})
    same(build_model(path), net)
    assert any("model_ema" in note for note in build_model(path).provenance.notes)
    same(build_model(path, weights_key="model_ema"), average.module.eval())


class Two(nn.Module):
    def __init__(self, **parts: nn.Module):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def test_a_student_is_taken_and_its_larger_teacher_is_named(tmp_path):
    net = trained()
    with torch.random.fork_rng():
        teacher = models.get_model("mobilenet_v3_small", num_classes=3)
    path = saved(tmp_path, Two(teacher=teacher, student=net).state_dict())
    built = build_model(path)
    same(built, net)
    notes = " ".join(built.provenance.notes)
    assert "mobilenet_v3_small of torchvision is in there as well, under 'teacher'" in notes
    assert "'student' is taken" in notes
    same(build_model("mobilenet_v3_small", weights=path), teacher.eval())


@pytest.mark.parametrize("named", [True, False])
def test_a_layer_behind_the_networks_own_head_is_not_left_out(tmp_path, named):
    path = saved(tmp_path, Two(net=trained(9), fc=nn.Linear(9, 2)).state_dict())
    with pytest.raises(UsageError, match=r"behind its own 9 outputs, fc\.weight 2x9") as error:
        build_model(SMALL, weights=path) if named else build_model(path)
    assert f"--weights {path}" in str(error.value)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("named", [True, False])
def test_other_channels(tmp_path, channels, named):
    def change(net):
        net.conv1[0] = nn.Conv2d(channels, 24, 3, 2, 1, bias=False)

    net = trained(change=change)
    path = saved(tmp_path, net.state_dict())
    built = build_model(SMALL, weights=path) if named else build_model(path)
    same(built, net, images(channels))
    assert built.preprocess.shape[0] == channels


def test_channels_that_no_picture_has(tmp_path):
    def change(net):
        net.conv1[0] = nn.Conv2d(6, 24, 3, 2, 1, bias=False)

    path = saved(tmp_path, trained(change=change).state_dict())
    with pytest.raises(UsageError, match="takes 6 channels") as error:
        build_model(path)
    assert f"--weights {path}" in str(error.value)


def test_an_input_that_is_no_square(tmp_path):
    net = timm.create_model("vit_tiny_patch16_224", img_size=(64, 128), num_classes=3)
    path = saved(tmp_path, net.state_dict())
    with pytest.raises(UsageError, match="no square fits its tensors: pos_embed 1x33x192") as error:
        build_model(path)
    assert f"--weights {path}" in str(error.value)


def test_counters_that_are_missing_and_heads_that_helped(tmp_path):
    net = trained()
    state = {n: t for n, t in net.state_dict().items() if "num_batches_tracked" not in n}
    same(build_model(saved(tmp_path, state)), net)


REFUSED = {
    "no head": (lambda net: Around(net), "without its head: it gives features"),
    "a gate": (
        lambda net: Around(net, out=nn.Linear(1024, 3), gate=nn.Bilinear(3, 3, 3)),
        "gate is neither linear nor a norm of 3 numbers",
    ),
    "another width": (
        lambda net: Around(net, classifier=nn.Linear(2048, 3)),
        "classifier takes 2048 numbers, and 1024 come to it. They are classifier.weight 3x2048",
    ),
    "another stem": (
        lambda net: replaced(net, "conv1.0", nn.Conv2d(3, 24, 5, 2, 2, bias=False)),
        "The nearest is shufflenet_v2_x0_5 of torchvision, but conv1.0.weight is 24x3x5x5 and "
        "there 24x3x3x3",
    ),
}


def replaced(net, name, module):
    net.set_submodule(name, module)
    return net


@pytest.mark.parametrize("form", REFUSED)
def test_what_leaves_a_doubt_is_refused_with_the_way_out(tmp_path, form):
    make, said = REFUSED[form]
    path = saved(tmp_path, make(trained()).state_dict())
    with pytest.raises(UsageError) as error:
        build_model(path)
    assert said in str(error.value)
    assert "--model FILE.py:" in str(error.value)
    assert f"--weights {path}" in str(error.value)


def test_a_strangers_network_for_cifar_is_no_known_one(test_data):
    path = test_data / "foreign-weights" / "resnet20-12fca82f.th"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    with pytest.raises(UsageError, match="is not one of torchvision's or timm's") as error:
        build_model(str(path))
    assert f"--weights {path}" in str(error.value)


@pytest.mark.parametrize("form", ["two", "norm", "dropout"])
def test_a_rebuilt_network_is_cut_as_the_network_would_be(tmp_path, form):
    """A map's ingredients, features and gradients, are those of autograd on the network itself."""
    net = trained(change=HEADS[form][0])
    built = build_model(saved(tmp_path, net.state_dict()))
    made = cut(built.module, 64)
    given, kept = images(), []
    hook = net.conv5.register_forward_hook(lambda module, args, out: kept.append(out))
    (wanted,) = torch.autograd.grad(net(given)[:, 1].sum(), kept)
    hook.remove()
    with torch.no_grad():
        A, tail = made.split(given)[-1]
    A = A.clone().requires_grad_()
    (found,) = torch.autograd.grad(tail(A)[:, 1].sum(), A)
    assert torch.allclose(A, kept[0], atol=1e-5)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert found.any()
    # What is one linear layer is one for the closed forms, too.
    assert (made.places[-1].head is not None) == (form == "dropout")


def test_one_output_is_not_called_two_classes(tmp_path):
    built = build_model(saved(tmp_path, models.resnet18(num_classes=1).state_dict()))
    assert "resnet18 of torchvision with one output, recognised" in built.provenance.notes[0]
    built = build_model(saved(tmp_path, models.resnet18(num_classes=2).state_dict()))
    assert "resnet18 of torchvision with 2 classes, recognised" in built.provenance.notes[0]
