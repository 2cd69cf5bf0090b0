"""What learns when layers are unfrozen, and what stays as it was, bit by bit."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.cutting.types import LinearHead
from camcli.models.loading.zoo import Provenance
from camcli.models.pooling.pooling import Pooling
from camcli.train.fitting.trainable_layers import Tunable, find_head

HEAD = LinearHead(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)), torch.ones(3))


class Net(nn.Module):
    """Two blocks with BatchNorm and dropout, GAP and a head."""

    def __init__(self, conv_head=False):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.two = nn.Sequential(
            nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)
        )
        self.fc = nn.Conv2d(8, 5, 1) if conv_head else nn.Linear(8, 5)

    def forward(self, x):
        A = self.two(self.one(x)).mean((2, 3), keepdim=True)
        return self.fc(A).flatten(1) if isinstance(self.fc, nn.Conv2d) else self.fc(A.flatten(1))


def tunable(unfreeze, bn="frozen", conv_head=False):
    net = Net(conv_head).eval()
    classifier = cut_classifier(
        net, classes=tuple("abcde"), preprocess=Preprocess(size=32), device=torch.device("cpu"),
        provenance=Provenance("own", None, None, "user", {}),
    )  # fmt: skip
    return net, Tunable(net, classifier, HEAD, unfreeze, bn), classifier


def learning(part):
    return {name for name, p in part.net.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("conv_head", [False, True])
def test_the_new_head_takes_the_old_ones_place(conv_head):
    net, part, classifier = tunable("two", conv_head=conv_head)
    assert part.head_name == find_head(net, classifier) == "fc"
    assert torch.equal(part.head().weight, HEAD.weight)
    images = torch.rand(2, 3, 32, 32)
    A = net.two(net.one(images))
    torch.testing.assert_close(part.net(images), HEAD(A))
    assert net.fc.weight.shape[0] == 5, "the network itself is as it was"


@pytest.mark.parametrize(
    ("unfreeze", "bn", "names"),
    [
        ("two", "frozen", {"two.0.weight", "two.0.bias", "fc.weight", "fc.bias"}),
        (
            "two", "train",
            {"two.0.weight", "two.0.bias", "two.1.weight", "two.1.bias", "fc.weight", "fc.bias"},
        ),
        ("one.0, two.0", "frozen",
         {"one.0.weight", "one.0.bias", "two.0.weight", "two.0.bias", "fc.weight", "fc.bias"}),
    ],
)  # fmt: skip
def test_what_was_named_learns_and_the_head(unfreeze, bn, names):
    _, part, _ = tunable(unfreeze, bn)
    assert learning(part) == names
    _, every, _ = tunable("all", "train")
    assert learning(every) == {name for name, _ in every.net.named_parameters()}


@pytest.mark.parametrize("bn", ["frozen", "train"])
def test_a_step_changes_what_learns_and_nothing_else(bn):
    """Also the statistics of BatchNorm: those of frozen layers stay in any case."""
    _, part, _ = tunable("two", bn)
    before = {name: value.clone() for name, value in part.net.state_dict().items()}
    part.train_mode()
    optimizer = torch.optim.SGD([p for p in part.net.parameters() if p.requires_grad], lr=0.1)
    part.net(torch.rand(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    changed = {n for n, v in part.net.state_dict().items() if not torch.equal(v, before[n])}
    wanted = learning(part)
    if bn == "train":
        wanted |= {"two.1.running_mean", "two.1.running_var", "two.1.num_batches_tracked"}
    assert changed == wanted


def test_dropout_works_in_unfrozen_layers_alone():
    _, part, _ = tunable("two")
    part.train_mode()
    assert part.net.two[3].training
    assert not part.net.two[1].training
    assert not part.net.one.training
    _, other, _ = tunable("one")
    other.train_mode()
    assert not other.net.two[3].training


def test_a_layer_that_is_not_there_is_told_with_those_that_are():
    for wrong in ("three", "two.2", " , "):
        with pytest.raises(UsageError, match="--unfreeze"):
            tunable(wrong)


def test_the_head_is_known_by_its_weights_and_not_by_its_shape():
    """Another layer of as many rows and columns stands before it."""
    net = nn.ModuleDict({"aux": nn.Linear(8, 5), "fc": nn.Linear(8, 5), "conv": nn.Conv2d(8, 5, 1)})
    for name in ("fc", "conv", "aux"):
        weight = net[name].weight.detach().flatten(1)
        assert find_head(net, SimpleNamespace(head=LinearHead(weight, torch.zeros(5)))) == name
    assert find_head(net, SimpleNamespace(head=HEAD)) is None
    assert find_head(net, SimpleNamespace(head=None)) is None


def test_a_layer_after_what_the_head_is_given_is_told():
    net, _, classifier = tunable("two")
    classifier = replace(classifier, head=None)  # as that of pooled maps has none of the network's
    early = LinearHead(torch.ones(3, 4), torch.zeros(3))
    pooling = Pooling.read("std@one")
    part = Tunable(net, classifier, early, "one", "frozen", pooling)
    assert learning(part) >= {"one.0.weight", "one.0.bias"}
    with pytest.raises(
        UsageError, match=r"'two' comes after the maps that --pooling std@one takes"
    ):
        Tunable(net, classifier, early, "two", "frozen", pooling)
