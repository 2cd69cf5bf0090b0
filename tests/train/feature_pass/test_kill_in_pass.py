"""``kill -9`` in the middle of the feature pass: what was computed is kept, but for one batch."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from camcli.train.config_file import to_toml
from camcli.train.feature_pass.shelf import kept
from camcli.train.feature_pass.sight import Sight
from camcli.train.run import train

BATCH = 16
CHILD = """
import sys
from pathlib import Path
from contextlib import contextmanager
from camcli.train.config_file import resolve
from camcli.train.progress import Bar, Listener
from camcli.train.run import train

class Shown(Bar):
    done = 0
    def advance(self, count=1):
        if count:
            Shown.done += count
            print(Shown.done, flush=True)

class Ear(Listener):
    @contextmanager
    def bar(self, title, total, unit):
        yield Shown() if title == "train features" else Bar()

config, out, cache = map(Path, sys.argv[1:])
train(resolve(config, {}), out, cache_dir=cache, device="cpu", listener=Ear())
"""


@pytest.mark.posix
@pytest.mark.slow  # a process that imports torch
def test_a_kill_in_the_feature_pass_loses_at_most_what_was_not_told(
    quick, tmp_path, draw, monkeypatch
):
    data = draw(tmp_path / "set", {"train": 60, "val": 2})
    config = replace(quick, data=str(data), input_size=224, solver="lbfgs", epochs=1)
    (tmp_path / "c.toml").write_text(to_toml(config))
    out, cache = tmp_path / "run", tmp_path / "cache"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "c.toml", out, cache], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout
    told = 0
    for line in child.stdout:
        told = int(line)
        if told >= 2 * BATCH:
            break
    child.send_signal(signal.SIGKILL)
    stderr = child.communicate()[1]
    assert told >= 2 * BATCH, stderr
    (found,) = kept(cache)
    assert told <= found.images <= 120, "what is told is on the disk"
    before = {path: path.read_bytes() for path in found.files}
    looked = 0
    look = Sight.of_any_shape

    def counted(sight, images):
        nonlocal looked
        looked += len(images)
        return look(sight, images)

    monkeypatch.setattr(Sight, "of_any_shape", counted)
    train(config, out, cache_dir=cache, device="cpu", resume=True)
    whole = kept(cache)[0]
    assert whole.images == 124
    assert looked == 124 - found.images, "nothing is looked at twice"
    for path, data in before.items():
        record = 36 + 2 * 1024
        assert path.read_bytes().startswith(data[: len(data) // record * record])
    # And the same checkpoint as without a kill.
    fresh = train(config, tmp_path / "fresh", cache_dir=tmp_path / "other", device="cpu")
    one, other = (load(path) for path in (out / "best.safetensors", fresh.checkpoint))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def load(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    from camcli.models.loading.checkpoint import load_checkpoint

    saved = load_checkpoint(path)
    return saved.weight, saved.bias
