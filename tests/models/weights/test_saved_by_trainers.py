"""Checkpoints as training programs write them, each in the structure that the program has."""

import argparse
import collections
import datetime
import pathlib

import numpy as np
import pytest
import torch
from torch import nn

from camcli.models.weights.files import read_candidates
from camcli.models.weights.opening import open_weights
from camcli.models.weights.state_dict import match, unwrap


def network():
    return nn.Sequential(
        collections.OrderedDict(
            conv1=nn.Conv2d(3, 4, 3), bn1=nn.BatchNorm2d(4), pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(), fc=nn.Linear(4, 3),
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def run():
    """A network after a step, with its optimizer, schedule and average."""
    torch.manual_seed(0)
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    average = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    schedule.step()
    scaler = torch.amp.GradScaler("cpu")
    return argparse.Namespace(
        net=net, average=average, optimizer=optimizer.state_dict(),
        schedule=schedule.state_dict(), scaler=scaler.state_dict(),
    )  # fmt: skip


class Wrapped(nn.Module):
    """As DistributedDataParallel keeps a network."""

    def __init__(self, net):
        super().__init__()
        self.module = net


class LightningLike(nn.Module):
    def __init__(self, net, name):
        super().__init__()
        setattr(self, name, net)
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def lightning(run, name):
    return {
        "epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.5.0",
        "state_dict": LightningLike(run.net, name).state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {
            "best_model_score": torch.tensor(0.3), "best_k_models": {}, "dirpath": "x"}},
        "optimizer_states": [run.optimizer], "lr_schedulers": [run.schedule],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1, "out": pathlib.Path("x"), "act": nn.ReLU,
                             "weight": np.float64(1.0)},
    }  # fmt: skip


def mmpretrain(run):
    state = run.net.state_dict()
    backbone = {name: t for name, t in state.items() if not name.startswith("fc")}
    head = {name: t for name, t in state.items() if name.startswith("fc")}
    return {
        "meta": {"epoch": 1, "time": datetime.datetime.now(), "dataset_meta": {"classes": ["a"]}},
        "state_dict": {**under("backbone.", backbone), **under("head.", head)},
        "message_hub": {"log_scalars": collections.OrderedDict()},
        "optimizer": run.optimizer, "param_schedulers": [run.schedule],
    }  # fmt: skip


FORMS = {
    "plain": lambda run: run.net.state_dict(),
    "ddp": lambda run: Wrapped(run.net).state_dict(),
    "compiled": lambda run: torch.compile(run.net).state_dict(),
    "compiled in ddp": lambda run: Wrapped(torch.compile(run.net)).state_dict(),
    "ddp compiled": lambda run: torch.compile(Wrapped(run.net)).state_dict(),
    "model.model": lambda run: under("model.model.", run.net.state_dict()),
    "ema_model.module": lambda run: under("ema_model.module.", run.net.state_dict()),
    "clip": lambda run: under("visual.", run.net.state_dict()),
    "lightning model": lambda run: lightning(run, "model"),
    "lightning net": lambda run: lightning(run, "net"),
    "lightning backbone": lambda run: lightning(run, "backbone"),
    "timm train": lambda run: {
        "epoch": 1, "arch": "x", "state_dict": run.net.state_dict(), "optimizer": run.optimizer,
        "version": 2, "args": argparse.Namespace(lr=0.1, mean=None), "amp_scaler": run.scaler,
        "state_dict_ema": run.average.module.state_dict(), "metric": 0.5,
    },
    "torchvision reference": lambda run: {
        "model": run.net.state_dict(), "optimizer": run.optimizer, "lr_scheduler": run.schedule,
        "epoch": 1, "args": argparse.Namespace(lr=0.1, output_dir=pathlib.Path("x")),
        "model_ema": run.average.state_dict(), "scaler": run.scaler,
    },
    "mmpretrain": mmpretrain,
    "fastai": lambda run: {"model": run.net.state_dict(), "opt": run.optimizer},
    "tutorial": lambda run: {"epoch": 5, "model_state_dict": run.net.state_dict(),
                             "optimizer_state_dict": run.optimizer, "loss": torch.tensor(0.4)},
    "kuangliu": lambda run: {"net": under("module.", run.net.state_dict()), "acc": 91.2},
    "tuple": lambda run: (run.net.state_dict(), run.optimizer),
    "whole numbers": lambda run: {"weights": run.net.state_dict(), "best": np.float32(0.5),
                                  "history": np.zeros(3), "when": datetime.datetime.now()},
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_the_networks_own_weights_are_found(tmp_path, run, name):
    path = tmp_path / "checkpoint.bin"
    torch.save(FORMS[name](run), path)
    found = match(unwrap(open_weights(path), str(path)), network())
    for key, tensor in run.net.state_dict().items():
        assert torch.equal(found.state[key], tensor), key
    if name.startswith("lightning"):
        assert "criterion.weight" in found.dropped
    if "reference" in name or "timm" in name:
        key = "model_ema" if "reference" in name else "state_dict_ema"
        assert f"--weights-key {key} takes the other" in found.note
        other = match(unwrap(open_weights(path), str(path)), network(), key=key)
        for name_, tensor in run.average.module.state_dict().items():
            assert torch.equal(other.state[name_], tensor)


def test_an_average_alone_is_taken_and_its_counter_named(tmp_path, run):
    path = tmp_path / "average.pth"
    torch.save(run.average.state_dict(), path)
    found, _ = read_candidates(path)
    taken = match(found, network())
    assert taken.dropped == ("n_averaged",)
    assert torch.equal(taken.state["fc.weight"], run.average.module.fc.weight)


def test_two_sets_in_one_mapping_are_a_choice_and_nothing_is_left_out(run):
    state = {
        **under("student.", run.net.state_dict()),
        **under("teacher.", run.average.module.state_dict()),
    }
    found = match(unwrap(state, "w.pth"), network())
    assert torch.equal(found.state["fc.weight"], run.net.fc.weight)
    assert "--weights-key teacher takes the other" in found.note
    assert "left out" not in found.note
    other = match(unwrap(state, "w.pth"), network(), key="teacher")
    assert torch.equal(other.state["fc.weight"], run.average.module.fc.weight)


def test_a_network_that_has_module_in_its_names_keeps_them(run):
    inner = Wrapped(network())
    found = match(unwrap(inner.state_dict(), "w.pth"), Wrapped(network()))
    assert set(found.state) == set(inner.state_dict())
    assert found.note == ""


def test_parts_under_two_prefixes_belong_together_only_where_nothing_is_open(run):
    state = run.net.state_dict()
    two = {
        **under("backbone.", {n: t for n, t in state.items() if not n.startswith("fc")}),
        **under("head.", {n: t for n, t in state.items() if n.startswith("fc")}),
        **under("aux.", {n: t for n, t in state.items() if n.startswith("fc")}),
    }
    with pytest.raises(Exception, match="has no head"):
        match(unwrap(two, "w.pth"), network())


@pytest.mark.heavy
@pytest.mark.parametrize("attribute", ["model", "net", "backbone"])
def test_a_checkpoint_of_lightning_itself(tmp_path, attribute):
    lightning = pytest.importorskip("lightning", reason="it writes the checkpoint")
    omegaconf = pytest.importorskip("omegaconf", reason="its settings are in the checkpoint")

    class Lit(lightning.LightningModule):
        def __init__(self, config, out):
            super().__init__()
            self.save_hyperparameters()
            setattr(self, attribute, network())
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch):
            images, labels = batch
            return self.criterion(getattr(self, attribute)(images), labels)

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    config = omegaconf.OmegaConf.create({"lr": 0.1, "layers": [1, 2], "name": "x"})
    lit = Lit(config, pathlib.Path("out"))
    data = torch.utils.data.TensorDataset(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[lightning.pytorch.callbacks.ModelCheckpoint(tmp_path, filename="best")],
    )  # fmt: skip
    trainer.fit(lit, torch.utils.data.DataLoader(data, batch_size=2))
    found = match(unwrap(open_weights(tmp_path / "best.ckpt"), "best.ckpt"), network())
    for key, tensor in getattr(lit, attribute).state_dict().items():
        assert torch.equal(found.state[key], tensor)
    assert "criterion.weight" in found.note
    assert "optimizer_states" in found.note


@pytest.mark.heavy
def test_a_checkpoint_of_accelerate_itself(tmp_path):
    accelerate = pytest.importorskip("accelerate", reason="it writes the checkpoint")
    accelerator = accelerate.Accelerator(cpu=True)
    net = network()
    own, _ = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.1))
    accelerator.save_state(tmp_path / "state")
    accelerator.save_model(own, tmp_path / "model")
    files = [*(tmp_path / "state").glob("model*"), *(tmp_path / "model").glob("model*")]
    assert len(files) == 2
    for file in files:
        found = match(unwrap(open_weights(file), file.name), network())
        assert torch.equal(found.state["fc.weight"], net.fc.weight)
