"""Folders of Hugging Face's hub, and ``hf:owner/name``: what is told without their libraries."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.jobs.model import ModelJob
from camcli.models.forms.hub import folder as hub_folder
from camcli.models.forms.registry import form_of
from camcli.models.loading.sources import source_of


def folder(path: Path, weights: str | None = "model.safetensors", **config: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    usual = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    (path / "config.json").write_text(json.dumps(config or usual))
    if weights:
        save_file({"w": torch.zeros(1)}, path / weights)
    return path


def test_whose_folder_it_is_is_told_by_what_its_config_says(tmp_path: Path) -> None:
    theirs, timms = folder(tmp_path / "a"), folder(tmp_path / "b", architecture="resnet18")
    for path in (theirs, theirs / "config.json", theirs / "model.safetensors"):
        assert form_of(path).name == "hugging face folder"
    assert form_of(timms).name == "timm folder"
    with pytest.raises(UsageError, match="no network in a form"):
        form_of(folder(tmp_path / "c", other=1))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "vit", "architectures": ["ViTModel"]}, "ViTModel, which has no classes"),
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"],
          "quantization_config": {"bits": 4}}, "quantised"),
        ({"model_type": "vit"}, "which class of transformers"),
    ],
)  # fmt: skip
def test_what_is_no_classifier_is_told_before_anything_is_imported(
    config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        ModelJob(model=str(folder(tmp_path / "a", **config))).check()


def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_folder.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"camcli\[hf\]"):
        ModelJob(model=str(folder(tmp_path / "a"))).check()


def test_weights_that_are_missing_or_of_others_are_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", weights=None)
    with pytest.raises(UsageError, match="the weights are missing"):
        hub_folder.open_folder(path)
    (path / "tf_model.h5").write_bytes(b"x")
    with pytest.raises(UsageError, match="TensorFlow"):
        hub_folder.open_folder(path)


@pytest.mark.parametrize("name", ["../outside.safetensors", "a/b.safetensors", "..", 3])
def test_an_index_names_no_files_elsewhere(name: object, tmp_path: Path) -> None:
    path = folder(tmp_path / "a", weights=None)
    index = {"weight_map": {"w": name}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CamcliError, match="no file's name"):
        hub_folder.open_folder(path)


@pytest.mark.parametrize("name", ["hf:vit", "hf:a/b/c", "hf:../x", "hf:a/..", "hf:"])
def test_names_on_the_hub_are_owner_and_name(name: str) -> None:
    assert source_of(name).name == "hugging face"
    with pytest.raises(UsageError, match="owner/name"):
        ModelJob(model=name).check()


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(UnavailableError, match="hf download nobody/nothing") as told:
        ModelJob(model="hf:nobody/nothing", offline=True).check()
    assert told.value.exit_code == 4


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub with one repository, owner/tiny, of one state."""
    root = tmp_path / "hub"
    state = "0123456789" * 4
    repository = folder(root / "owner/tiny/resolve" / state)
    (repository / "preprocessor_config.json").write_text("{}")
    (repository / "tf_model.h5").write_bytes(b"not wanted")
    about = root / "api/models/owner/tiny/revision/main"
    about.parent.mkdir(parents=True)
    siblings = [{"rfilename": file.name} for file in repository.iterdir()]
    about.write_text(json.dumps({"sha": state, "siblings": siblings}))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.delenv("CAMCLI_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield root
    server.shutdown()
    server.server_close()


def test_a_network_is_fetched_once_and_whole(hub: Path, tmp_path: Path) -> None:
    path = hub_folder.located("hf:owner/tiny")
    assert path.is_relative_to(tmp_path / "weights")
    assert [file.name for file in hub_folder.open_folder(path).weights] == ["model.safetensors"]
    assert sorted(file.name for file in path.iterdir()) == [
        "config.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip
    assert hub_folder.located("hf:owner/tiny", offline=True) == path
    with pytest.raises(UnavailableError, match="could not be fetched"):
        hub_folder.located("hf:owner/other")
