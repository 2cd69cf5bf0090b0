"""Tensors are found in whatever wraps them, and only if all of them are the network's."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from camcli.errors import CamcliError, UsageError
from camcli.models.weights.state_dict import head_rows, match, unwrap


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, x):
        return x + self.bn1(self.conv1(x)).relu()


class Tiny(nn.Module):
    """A residual network of a few hundred numbers, named as ResNets are."""

    def __init__(self, num_classes=3, blocks=1, channels=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(*[Block(channels) for _ in range(blocks)])
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.fc(self.layer1(self.bn1(self.conv1(x)).relu()).mean((2, 3)))


class Wrapped(nn.Module):
    """A network of one's own around another."""

    def __init__(self):
        super().__init__()
        self.net = Tiny()

    def forward(self, x):
        return self.net(x)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Tiny()


@pytest.fixture(scope="module")
def state(net):
    return net.state_dict()


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def same(found, state):
    """Whether a match has the very tensors of `state`."""
    assert found.state.keys() == state.keys()
    for name, tensor in state.items():
        assert found.state[name] is tensor


def find(loaded, module, **options):
    return match(unwrap(loaded, "w.pth"), module, **options)


KEYS = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights", "model_ema",
    "state_dict_ema", "module", "ema", "params", "best_state",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "ema_model.", "encoder.q.")


@pytest.mark.parametrize("key", KEYS)
def test_any_key(net, state, key):
    found = find({key: state, "epoch": 5, "loss": 0.4}, net)
    same(found, state)
    assert found.key == key
    assert found.note == ""


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix(net, state, prefix):
    same(find(under(prefix, state), net), state)


@given(
    keys=st.lists(st.sampled_from([*KEYS, "a.b", "0", "größe"]), max_size=5),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=4),
    beside=st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(), max_size=3),
)
def test_any_nesting_and_any_combination(keys, prefixes, beside):
    torch.manual_seed(0)
    net = Tiny()
    state = net.state_dict()
    loaded = under("".join(prefixes), state)
    for key in keys:
        loaded = {**beside, key: loaded}
    found = find(loaded, net)
    same(found, state)
    assert found.dropped == ()


def test_as_they_are_comes_first(net, state):
    """A network whose own names begin with a usual prefix keeps it."""
    own = nn.ModuleDict({"module": Tiny(), "model": Tiny()})
    wanted = own.state_dict()
    same(find(wanted, own), wanted)
    # Of two sets that fit the inner names, that without a prefix.
    both = {**state, **under("ema_model.", copy.deepcopy(state))}
    found = find(both, net)
    same(found, state)
    assert found.others == ("ema_model",)


def test_wrappers_in_the_middle(net, state):
    """torch.compile, FSDP and activation checkpointing wrap parts of a network."""
    renamed = {
        name.replace("layer1.", "layer1._orig_mod.").replace("fc.", "_fsdp_wrapped_module.fc."): t
        for name, t in state.items()
    }
    same(find(renamed, net), state)
    same(find(under("model.", renamed), net), state)


def test_a_network_that_wraps_the_files(state):
    found = find(state, Wrapped())
    same(found, under("net.", state))
    same(find(under("module.", state), Wrapped()), under("net.", state))


def test_a_prefix_is_taken_off_only_where_the_rest_is_the_networks(state):
    other = under("model.", {f"{name}x": tensor for name, tensor in state.items()})
    with pytest.raises(UsageError, match="another architecture"):
        find(other, Tiny())


def test_what_stands_beside_the_network_is_dropped_and_named(net, state):
    loaded = {
        "state_dict": {**under("model.", state), "criterion.weight": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3), "step": torch.tensor(1)}}}],
    }
    found = find(loaded, net)
    same(found, state)
    assert found.dropped == ("criterion.weight",)
    assert "criterion.weight" in found.note
    assert "optimizer_states (2 tensors)" in found.note
    assert "\n" not in found.note
    found = find({**state, "projector.0.weight": torch.ones(8, 8)}, net)
    assert found.dropped == ("projector.0.weight",)


def test_counters_are_dropped_wherever_they_are(net, state):
    more = {**state, "n_averaged": torch.tensor(3), "layer1.total_ops": torch.zeros(1)}
    found = find(more, net)
    same(found, state)
    assert set(found.dropped) == {"n_averaged", "layer1.total_ops"}
    less = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    same(find(less, net), less)


def test_a_deeper_network_is_not_taken_for_a_shallower_one(state):
    """All of its first layers fit, and what it says would be nonsense."""
    deeper = Tiny(blocks=2).state_dict()
    with pytest.raises(UsageError, match=r"deeper.*layer1\.1\.conv1\.weight"):
        find(deeper, Tiny())
    with pytest.raises(UsageError, match=r"smaller.*layer1\.1\.conv1\.weight"):
        find(state, Tiny(blocks=2))
    sequence = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 4))
    longer = nn.Sequential(*sequence, nn.ReLU(), nn.Linear(4, 4))
    with pytest.raises(UsageError, match=r"4\.weight"):
        find(longer.state_dict(), sequence)


def test_weights_are_taken_rather_than_their_average(net, state):
    torch.manual_seed(1)
    ema = torch.optim.swa_utils.AveragedModel(Tiny()).state_dict()
    for loaded in ({"model": state, "model_ema": ema}, {"model_ema": ema, "model": state}):
        found = find(loaded, net)
        same(found, state)
        assert (found.key, found.others) == ("model", ("model_ema",))
        assert "'model' is taken" in found.note
        assert "--weights-key model_ema" in found.note
        other = find(loaded, net, key=found.others[0])
        assert other.state["fc.bias"] is ema["module.fc.bias"]
        assert other.key == "model_ema"
        assert "sets of weights" not in other.note
    # The average alone is taken without a word.
    assert find({"model_ema": ema, "epoch": 3}, net).others == ()


def test_one_set_under_two_keys_is_no_choice(net, state):
    found = find({"model": state, "state_dict": state}, net)
    assert (found.others, found.note) == ((), "")


def test_any_set_can_be_chosen(net):
    torch.manual_seed(2)
    states = [Tiny().state_dict() for _ in range(4)]
    loaded = {
        "student": under("module.", states[0]),
        "nested": {"teacher": states[1]},
        "both": {**under("a.", states[2]), **under("b.", states[3])},
    }
    first = find(loaded, net)
    same(first, states[0])
    assert first.others == ("nested.teacher", "both.a", "both.b")
    for key, wanted in zip(
        ("student", "nested.teacher", "teacher", "both.a", "a", "b.", "student.module"),
        (0, 1, 1, 2, 2, 3, 0),
        strict=True,
    ):
        same(find(loaded, net, key=key), states[wanted])
    with pytest.raises(UsageError, match=r"--weights-key nope.*'student', 'nested\.teacher'"):
        find(loaded, net, key="nope")


def test_more_classes(net, state):
    other = Tiny(num_classes=7).state_dict()
    assert head_rows(unwrap({"model": under("module.", other)}, "w"), net) == 7
    assert head_rows(unwrap(state, "w"), net) is None
    assert head_rows(unwrap(Tiny(channels=5, num_classes=7).state_dict(), "w"), net) is None
    with pytest.raises(UsageError, match="trained for 7 classes, and the network is built for 3"):
        find(other, net)
    found = find(under("model.", other), net, heads=("fc.weight", "fc.bias"))
    assert found.state["fc.weight"].shape == (7, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {n: t for n, t in s.items() if not n.startswith("fc.")}, "has no head"),
        (lambda s: Tiny(channels=8).state_dict(), "wider or narrower"),
        (lambda s: {"features.0.weight": torch.ones(2)}, "another architecture"),
        (lambda s: {f"x_{n}": t for n, t in s.items()}, "another architecture"),
    ],
)
def test_what_does_not_fit_is_told_with_its_likely_cause(net, state, change, said):
    with pytest.raises(UsageError, match=said) as caught:
        find({"model": change(state)}, net, model="tiny")
    text = str(caught.value)
    assert "w.pth (under 'model') does not fit tiny" in text
    assert "\n" not in text
    assert len(text) < 500


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        ([1, 2], "a list"), (torch.ones(3), "a Tensor"), ({"epoch": 3}, "'epoch'"), ({}, "no tens"),
        (None, "NoneType"), ({1: torch.ones(3)}, "no tensors by name"),
        ({"w": torch.ones(3).to_sparse()}, "no tensors by name"),
        ({"w": torch.ones(3, device="meta")}, "no tensors by name"),
    ],
)  # fmt: skip
def test_files_without_named_tensors(loaded, said):
    with pytest.raises(CamcliError, match=said) as caught:
        unwrap(loaded, "w.pth")
    assert "state_dict()" in str(caught.value)


def test_a_mapping_that_holds_itself(net, state):
    loaded = {"model": state}
    loaded |= {str(n): loaded for n in range(50)}
    loaded["list"] = [loaded] * 50
    same(find(loaded, net), state)


def test_an_optimizers_state_is_looked_through_quickly(net, state):
    moments = {n: {"exp_avg": torch.ones(1), "exp_avg_sq": torch.ones(1)} for n in range(5000)}
    same(find({"optimizer": {"state": moments}, "model": state}, net), state)


def test_nothing_is_computed(net, state):
    """Only names and shapes are looked at: the network may be on the meta device."""
    with torch.device("meta"):
        bare = Tiny()
    same(find(state, bare), state)
    assert all(a is b for a, b in itertools.pairwise([*find(state, net).state.values()][:1] * 2))


def test_counters_at_the_top_are_left_out_by_name(net, state):
    found = find({"state_dict": state, "best_acc": torch.tensor(0.9)}, net)
    same(found, state)
    assert "left out, since the network has no place for it: best_acc." in found.note
