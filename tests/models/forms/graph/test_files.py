"""ONNX and OpenVINO IR as ``--model FILE``: read, named, refused, and explained in one command."""

import contextlib
import json

import numpy as np
import openvino as ov
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import camcli
from camcli.cli.app import app
from camcli.errors import CamcliError, UsageError
from camcli.evaluate.comparison.measuring.randomised import copies_of_model
from camcli.jobs.model import ModelJob
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino_core import core
from camcli.models.runtime.policy import runtime_of, with_runtime
from camcli.models.weights.places import sha256_of
from camcli.train.config import TrainConfig
from camcli.train.prepare import load_backbones

NAMES = {"names": "{0: 'cat', 1: 'dog', 2: 'big bird', 3: \"o'neill\", 4: 'e'}"}


@pytest.fixture
def onnx(tmp_path, onnx_bytes, onnx_weights):
    """Writes that network's file."""

    def write(name="net.onnx", **options):
        (tmp_path / name).write_bytes(onnx_bytes(onnx_weights[0], **options))
        return str(tmp_path / name)

    return write


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=generator)


def test_an_onnx_file_says_what_torch_says(onnx, onnx_weights, pixels):
    classifier = load_classifier(onnx(metadata=NAMES))
    network = onnx_weights[1]
    A, logits = classifier(pixels)
    images = classifier.preprocess.normalise(pixels)
    with torch.no_grad():
        torch.testing.assert_close(A, network[:2](images), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(logits, network(images), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(classifier.head.weight, onnx_weights[0]["fc"])
    assert classifier.classes == ("cat", "dog", "big bird", "o'neill", "e")
    assert classifier.preprocess.shape == (3, 16, 16)
    (note,) = classifier.provenance.notes
    for part in ("net.onnx: an ONNX network (opset 17, made by by hand)", "(names)", "16x16",
                 "ASSUMED"):  # fmt: skip
        assert part in note
    assert classifier.layer == "/relu"


def test_its_suffix_does_not_matter(onnx):
    assert load_classifier(onnx("weights.bin")).layer == "/relu"


def test_one_image_at_a_time_may_be_written_in_the_file(onnx, pixels, onnx_weights):
    classifier = load_classifier(onnx(batch=1))
    images = classifier.preprocess.normalise(pixels)
    with torch.no_grad():
        torch.testing.assert_close(
            classifier(pixels)[1], onnx_weights[1](images), rtol=1e-4, atol=1e-5
        )


def test_weights_beside_the_file_are_read_and_told(onnx, onnx_weights, tmp_path, pixels):
    (tmp_path / "w.data").write_bytes(b"".join(v.tobytes() for v in onnx_weights[0].values()))
    classifier = load_classifier(onnx(beside="w.data"))
    assert classifier.provenance.to_dict()["beside"] == {"w.data": sha256_of(tmp_path / "w.data")}
    images = classifier.preprocess.normalise(pixels)
    with torch.no_grad():
        torch.testing.assert_close(
            classifier(pixels)[1], onnx_weights[1](images), rtol=1e-4, atol=1e-5
        )
    (tmp_path / "w.data").unlink()
    with pytest.raises(CamcliError, match=r"keeps its weights in w\.data"):
        load_classifier(onnx(beside="w.data"))


@pytest.mark.parametrize("place", ["../w.data", "/etc/passwd", "a/../../b", "C:\\w", "..\\w"])
def test_weights_outside_of_its_folder_are_not_read(place, onnx):
    with pytest.raises(CamcliError, match="outside of its own folder"):
        load_classifier(onnx(beside=place))


@pytest.mark.parametrize("cut", [40, 0.5, 0.9])
def test_what_is_cut_short_is_said(cut, onnx, tmp_path):
    path = tmp_path / "net.onnx"
    data = path.read_bytes() if onnx() and path.exists() else b""
    path.write_bytes(data[: cut if cut > 1 else int(len(data) * cut)])
    with pytest.raises(CamcliError, match=r"no whole ONNX network|no ONNX network"):
        load_classifier(str(path))


def test_noise_in_a_file_is_an_error_and_no_crash(onnx, tmp_path):
    path = tmp_path / "net.onnx"
    onnx()
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(25):
        broken = bytearray(data)
        for place in generator.integers(8, min(len(data), 600), 6):
            broken[place] = generator.integers(256)
        path.write_bytes(bytes(broken))
        with contextlib.suppress(CamcliError):  # and nothing else
            load_classifier(str(path))


def test_an_openvino_network_brings_names_and_preprocessing(onnx, tmp_path, onnx_weights, pixels):
    model = core().read_model(onnx())
    said = {
        "labels": "cat dog big_bird other last", "mean_values": "123.675 116.28 103.53",
        "scale_values": "58.395 57.12 57.375", "reverse_input_channels": "True",
    }  # fmt: skip
    for key, value in said.items():
        model.set_rt_info(value, ["model_info", key])
    path = tmp_path / "net.xml"
    ov.save_model(model, path)
    classifier = load_classifier(str(path))
    assert classifier.classes == ("cat", "dog", "big_bird", "other", "last")
    np.testing.assert_allclose(classifier.preprocess.mean, (0.485, 0.456, 0.406), rtol=1e-6)
    np.testing.assert_allclose(classifier.preprocess.std, (0.229, 0.224, 0.225), rtol=1e-6)
    (note,) = classifier.provenance.notes
    assert "mean_values 123.675" in note
    assert "mean and std" not in note
    assert "the centre of 18, bilinear ASSUMED" in note  # of that the file says nothing
    binary = tmp_path / "net.bin"
    assert classifier.provenance.to_dict()["beside"] == {"net.bin": sha256_of(binary)}
    images = classifier.preprocess.normalise(pixels)
    with torch.no_grad():  # its weights were stored in half precision
        torch.testing.assert_close(
            classifier(pixels)[1], onnx_weights[1](images), rtol=1e-2, atol=1e-2
        )
    binary.unlink()
    with pytest.raises(CamcliError, match=r"net\.bin, which is not in"):
        load_classifier(str(path))
    path.write_text(path.read_text()[:500])
    binary.write_bytes(b"")
    with pytest.raises(CamcliError, match="cannot read"):
        load_classifier(str(path))


def test_names_that_do_not_fit_are_left_out_and_said(onnx):
    classifier = load_classifier(onnx(metadata={"classes": '["a", "b"]'}))
    assert classifier.classes == ("0", "1", "2", "3", "4")
    assert "2 names for 5 outputs" in classifier.provenance.notes[0]


def test_other_runtimes_and_precisions_are_refused(onnx):
    classifier = load_classifier(onnx())
    assert with_runtime(classifier, "auto") is classifier
    assert with_runtime(classifier, "openvino") is classifier
    assert runtime_of(classifier)["name"] == "openvino"
    for name in ("torch", "compile"):
        with pytest.raises(UsageError, match="no code for torch"):
            with_runtime(classifier, name)
    for precision in ("bfloat16", "int8"):
        with pytest.raises(UsageError, match="as its graph is written"):
            with_runtime(classifier, precision=precision)


def test_a_run_over_photographs(onnx, tmp_path):
    model = onnx(metadata=NAMES)
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        pixels = generator.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    out = tmp_path / "run"
    arguments = ["batch", str(folder), "--model", model, "-o", str(out), "--method", "gradcam++"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "an ONNX network" in done.output
    about = json.loads((out / "run.json").read_text())
    assert about.get("finished", True)
    assert json.dumps(sha256_of(tmp_path / "net.onnx")) in json.dumps(about)
    rows = (out / "predictions.csv").read_text().splitlines()
    again = CliRunner().invoke(app, [*arguments, "--resume"])
    assert again.exit_code == 0, again.output
    assert (out / "predictions.csv").read_text().splitlines() == rows
    assert len(rows) == 6
    refused = CliRunner().invoke(app, [*arguments[:-1], "fullgrad", "--overwrite"])
    assert refused.exit_code == 2
    assert "These methods explain it" in refused.output


def test_it_travels_to_another_process_by_its_path(onnx, tmp_path, monkeypatch):
    onnx()
    monkeypatch.chdir(tmp_path)
    job = ModelJob("net.onnx").elsewhere()
    monkeypatch.chdir("/")
    assert job.load().layer == "/relu"


def test_what_needs_layers_of_torch_refuses_a_graph(onnx):
    path = onnx()
    with pytest.raises(UsageError, match="has no layers that could be made random"):
        next(iter(copies_of_model(path)))
    with pytest.raises(UsageError, match=r"--backbone .* is a graph that OpenVINO runs"):
        load_backbones(TrainConfig(backbone=path), "cpu", True)


def test_python_explains_it_without_a_word_on_runtimes(onnx, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    for network in (onnx(), load_classifier(onnx())):
        result = camcli.explain(tmp_path / "red.png", network, method="reciprocam")
        assert result.status in ("ok", "empty_map"), result.error


class Flat(torch.nn.Module):
    """Its linear layer takes the maps of one size."""

    def __init__(self):
        super().__init__()
        self.maps, self.scores = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.Linear(4 * 16 * 16, 5)

    def forward(self, images):
        return self.scores(self.maps(images).relu().flatten(1))


def test_a_graph_of_one_size_is_not_called_no_classifier_at_another(graph_of, tmp_path):
    model = graph_of(Flat())
    model.reshape([1, 3, 32, 32])
    ov.save_model(model, tmp_path / "flat.xml")
    assert load_classifier(tmp_path / "flat.xml").preprocess.shape == (3, 32, 32)
    with pytest.raises(UsageError, match=r"built for 32x32 .*128x128: leave --input-size out"):
        load_classifier(tmp_path / "flat.xml", input_size=128)
