import importlib.util
import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.cli.app import app
from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.loading.zoo import Provenance
from camcli.models.runtime.on_openvino import WORTH_IT
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.policy import (
    TOLERANCE,
    Checked,
    precision_of,
    runtime_of,
    with_runtime,
)

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)
HERE = Provenance("tiny", None, None, "random", {})


def no_warning(text):
    raise AssertionError(text)


@pytest.fixture(scope="module")
def fast(bundled):
    pytest.importorskip("openvino", reason="openvino is not installed")
    return with_runtime(bundled, "openvino", warn=no_warning)


@pytest.fixture(scope="module")
def pixels(bundled, test_data):
    """24 photographs as the bundled network sees them."""
    files = sorted((test_data / "imagenet-samples").iterdir())[::10][:24]
    return torch.stack([bundled.preprocess.pixels(load_image(path)) for path in files])


def maps_of(classifier, A, logits):
    weight = classifier.head.weight[logits.argmax(1)]
    return torch.einsum("bk,bkhw->bhw", weight, A).clamp_min(0).flatten(1)


def test_openvino_says_and_sees_what_torch_does_on_photographs(bundled, fast, pixels):
    (A, logits), (B, others) = bundled(pixels), fast(pixels)
    assert torch.equal(logits.argmax(1), others.argmax(1))
    assert (logits.softmax(1) - others.softmax(1)).abs().max() < 1e-4
    same = torch.cosine_similarity(maps_of(bundled, A, logits), maps_of(bundled, B, others))
    assert same.min() > 0.99999
    assert (A - B).abs().max() < 1e-4 * A.abs().max()


def test_a_batch_is_its_images_one_by_one(fast, pixels):
    A, logits = fast(pixels[:5])
    for n in range(5):
        alone, says = fast(pixels[n : n + 1])
        assert torch.allclose(alone[0], A[n], atol=1e-4)
        assert torch.allclose(says[0], logits[n], atol=1e-4)


def test_the_outputs_are_not_overwritten_by_the_next_batch(fast, pixels):
    A, _ = fast(pixels[:2])
    before = A.clone()
    fast(pixels[2:4])
    assert torch.equal(A, before)


def test_lanes_do_not_mix_their_images(fast, pixels):
    expected = [fast(pixels[n : n + 3])[1] for n in range(0, 12, 3)]
    found = {}

    def lane(n):
        for _ in range(3):
            found[n] = fast(pixels[3 * n : 3 * n + 3])[1]

    lanes = [threading.Thread(target=lane, args=(n,)) for n in range(4)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    for n in range(4):
        assert torch.allclose(found[n], expected[n], atol=1e-4)


def test_the_engine_gives_the_same_rows_in_the_same_order(bundled, fast, photos, tmp_path):
    for n in range(7):
        Image.fromarray(photos[n % 3][:, 10 * n :]).save(tmp_path / f"{n}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    source, what = list(find_images(tmp_path)), make_explanation(bundled)
    one = list(stream(source, bundled, what, batch_size=2))
    other = list(stream(source, fast, what, batch_size=2))
    assert [r.ref for r in other] == source
    for a, b in zip(one, other, strict=True):
        assert (a.status, a.pred, a.error) == (b.status, b.pred, b.error)
        if a.status != "error":
            assert abs(a.prob - b.prob) < 1e-4
            assert a.heats[0].box == b.heats[0].box
            scale = np.abs(a.heats[0].heatmap).max()
            assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-4 * scale)


def test_each_lane_has_a_stream_and_float32_is_asked_for_by_name(fast):
    """One stream for all would make lanes wait for each other: half the speed on two cores."""
    (compiled,) = fast.features._run._compiled.values()
    assert compiled.get_property("NUM_STREAMS") == available_cores()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


@needs_openvino
def test_photographs_of_any_shape_share_one_conversion(bundled):
    whole = with_runtime(bundled, "openvino", warn=no_warning)
    draw = torch.Generator().manual_seed(0)
    for shape in ((224, 224), (256, 320), (320, 224)):
        images = torch.randint(0, 256, (2, 3, *shape), generator=draw, dtype=torch.uint8)
        (A, _), (B, _) = bundled(images), whole(images)
        assert A.shape == B.shape
        assert (A - B).abs().max() < 1e-4 * A.abs().max()


@needs_openvino
def test_a_transformer_whose_class_token_passes_by_the_cut(tiny, vit):
    plain = tiny(vit())
    assert plain.cut is not None  # or this tests nothing
    fast = with_runtime(plain, "openvino", warn=no_warning)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    a, b = plain.look(images), fast.look(images)
    assert torch.allclose(a.logits, b.logits, atol=1e-4)
    assert torch.allclose(a.parts[0].A, b.parts[0].A, atol=1e-4)
    changed = a.parts[0].A * 2
    assert torch.allclose(a.parts[0].tail(changed), b.parts[0].tail(changed), atol=1e-4)
    assert runtime_of(fast)["name"] == "openvino"


class Optional(torch.nn.Module):
    """As timm's transformers, `forward` has options, which are needed on both sides of a cut."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 8, 5, 4), torch.nn.Conv2d(8, 8, 3, padding=1)
        self.fc = torch.nn.Linear(8, 5)

    def forward(self, x, padding=None, slope=0.1, *, inplace=False):
        leaky = torch.nn.functional.leaky_relu
        x = leaky(self.first(x), slope, inplace)
        x = self.second(torch.nn.functional.pad(x, (0, 0), value=padding))
        return self.fc(leaky(x, slope, inplace=inplace).mean((2, 3)))


@needs_openvino
def test_options_of_a_network_are_no_values_that_pass_by_a_cut(tiny):
    torch.manual_seed(0)
    plain = tiny(Optional(), layers=("first",))
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    a = plain.look(images)
    assert a.parts[0].tail.context == ()
    b = with_runtime(plain, "openvino", warn=no_warning).look(images)
    assert torch.allclose(a.logits, b.logits, atol=1e-5)
    torch.manual_seed(0)
    whole = Optional().eval()
    assert torch.allclose(a.logits, whole(plain.preprocess.normalise(images)), atol=1e-5)


@needs_openvino
def test_the_network_itself_is_left_alone(tiny, convnet):
    plain = tiny(convnet())
    images = torch.randn(2, 3, 32, 32)
    before = plain.features(images)
    with_runtime(plain, "openvino")
    assert torch.equal(plain.features(images), before)
    assert runtime_of(plain)["name"] == "torch"


@needs_openvino
def test_bfloat16_keeps_the_maps(bundled, pixels):
    try:
        half = with_runtime(bundled, "openvino", precision="bfloat16", warn=no_warning)
    except UsageError as error:
        pytest.skip(str(error))
    (A, logits), (B, others) = bundled(pixels), half(pixels)
    assert (A - B).abs().max() > TOLERANCE * A.abs().max()  # it is another precision
    same = torch.cosine_similarity(maps_of(bundled, A, logits), maps_of(bundled, B, logits))
    assert same.min() > 0.99
    assert (logits.argmax(1) == others.argmax(1)).float().mean() >= 0.95
    assert precision_of(half) == "bfloat16"


@needs_openvino
def test_nothing_is_told_to_anybody(monkeypatch, tmp_path, tiny, convnet):
    """OpenVINO's own converter starts its telemetry; ours must not."""
    telemetry = pytest.importorskip("openvino_telemetry.main")

    class ToldError(Exception):
        pass

    def tell(*_args, **_kw):
        raise ToldError

    for name in ("init", "send_event", "start_session", "send_error"):
        monkeypatch.setattr(telemetry.Telemetry, name, tell)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    import openvino

    module = convnet()
    with pytest.raises(ToldError):
        openvino.convert_model(module, example_input=torch.zeros(1, 3, 32, 32))
    fast = with_runtime(tiny(module), "openvino", warn=no_warning)
    fast(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert list(tmp_path.iterdir()) == []


# --- a runtime is not trusted --------------------------------------------------------------------


def double(images):
    return 2 * images


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda x: 2.01 * x, "differs from torch by 0.005"),
        (lambda x: 2 * x + float("nan"), "differs from torch by nan"),
        (lambda x: 2 * x[:, :1], "differs from torch by inf"),
        (lambda x: 1 / 0, "division by zero"),
    ],
)
def test_one_that_disagrees_is_replaced_or_refused(run, said):
    images = torch.rand(6, 3, 4, 4) + 1
    warnings = []
    soft = Checked("odd", run, double, precision="float32", strict=False, warn=warnings.append)
    for _ in range(3):
        assert torch.equal(soft(images), 2 * images)
    assert len(warnings) == 1
    assert said in warnings[0]
    assert soft.name == "torch"
    hard = Checked("odd", run, double, precision="float32", strict=True, warn=no_warning)
    with pytest.raises(CamcliError, match=r"--runtime torch") as caught:
        hard(images)
    assert said in str(caught.value)


def test_each_shape_is_compared_once_and_on_a_few_images():
    compared = []

    def eager(images):
        compared.append(tuple(images.shape))
        return 2 * images

    checked = Checked("ok", double, eager, precision="float32", strict=True, warn=no_warning)
    for shape in ((16, 3, 4, 4), (16, 3, 4, 4), (2, 3, 4, 4), (2, 3, 4, 8)):
        assert checked(torch.ones(shape)).shape == shape
    assert compared == [(4, 3, 4, 4), (2, 3, 4, 8)]
    assert checked.difference == 0


def test_wrong_for_another_shape_only():
    """As a traced network is whose sizes were frozen."""

    def run(images):
        return images * (2 if images.shape[-1] == 4 else 3)

    warnings = []
    checked = Checked("odd", run, double, precision="float32", strict=False, warn=warnings.append)
    for side in (4, 8, 4):
        images = torch.rand(1, 3, side, side)
        assert torch.equal(checked(images), 2 * images)
    assert len(warnings) == 1


# --- what is chosen ------------------------------------------------------------------------------


@needs_openvino
def test_auto_takes_openvino_for_many_images_and_torch_for_a_handful(tiny, convnet):
    plain = tiny(convnet())
    assert with_runtime(plain, images=range(WORTH_IT - 1)) is plain
    many = with_runtime(plain, images=range(1), passes=WORTH_IT, warn=no_warning)
    assert runtime_of(many)["name"] == "openvino"
    many = with_runtime(plain, images=range(WORTH_IT), warn=no_warning)
    assert runtime_of(many)["name"] == "openvino"
    assert runtime_of(with_runtime(plain))["name"] == "openvino"
    assert with_runtime(many, "openvino") is many

    def endless():
        while True:
            yield None

    assert runtime_of(with_runtime(plain, images=endless()))["name"] == "openvino"


def test_without_openvino_auto_is_torch_and_asking_for_it_says_how_to_get_it(
    monkeypatch, photos, tmp_path, tiny, convnet
):
    from typer.testing import CliRunner

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "openvino" else find(name, *a)
    )
    plain = tiny(convnet())
    assert with_runtime(plain, warn=no_warning) is plain
    with pytest.raises(UnavailableError, match="pip install openvino"):
        with_runtime(plain, "openvino")
    Image.fromarray(photos[0]).save(tmp_path / "cat.png")
    done = CliRunner().invoke(
        app, ["batch", str(tmp_path), "-o", str(tmp_path / "run"), "--runtime", "openvino"]
    )
    assert done.exit_code == 4
    assert "pip install openvino" in done.output
    assert not (tmp_path / "run").exists()


def test_names_and_combinations_that_make_no_sense(tiny, convnet):
    plain = tiny(convnet())
    with pytest.raises(UsageError, match="auto, torch, compile, openvino"):
        with_runtime(plain, "tensorrt")
    with pytest.raises(UsageError, match="float32, bfloat16, float16, int8"):
        with_runtime(plain, precision="float64")
    with pytest.raises(UsageError, match="--runtime openvino"):
        with_runtime(plain, "torch", precision="bfloat16")


@needs_openvino
def test_what_openvino_cannot_take(monkeypatch, tmp_path, tiny, convnet):
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    plain = tiny(convnet())
    cuda = replace(plain, device=SimpleNamespace(type="cuda"))
    assert with_runtime(cuda) is cuda
    with pytest.raises(UsageError, match="--device cpu"):
        with_runtime(cuda, "openvino")
    hooked = replace(plain, features=lambda images: images)
    assert with_runtime(hooked) is hooked
    with pytest.raises(UsageError, match="cannot be traced"):
        with_runtime(hooked, "openvino")

    def broken(*_args):
        raise RuntimeError("no such operation\naten::odd")

    monkeypatch.setattr("camcli.models.runtime.openvino.convert", broken)
    warnings = []
    assert with_runtime(plain, warn=warnings.append) is plain
    assert len(warnings) == 1
    with pytest.raises(CamcliError, match="aten::odd"):
        with_runtime(plain, "openvino")


def test_a_run_records_its_runtime_and_may_be_resumed_in_another(bundled, fast, photos, tmp_path):
    for n, rgb in enumerate(photos):
        Image.fromarray(rgb).save(tmp_path / f"{n}.png")
    out = tmp_path / "run"

    def run(classifier, limit):
        made = Run(
            find_images(tmp_path, limit=limit), classifier, make_explanation(classifier),
            RunDirectory(out),
        )  # fmt: skip
        made.prepare(resume=limit == 3)
        list(made)
        return json.loads((out / "run.json").read_text())["runtime"]

    assert run(bundled, 2)["name"] == "torch"
    info = run(fast, 3)
    assert info["name"] == "openvino"
    assert 0 <= info["difference"] < TOLERANCE
    checked = replace(fast, features=Checked(
        "openvino", double, double, precision="bfloat16", strict=True, warn=no_warning
    ))  # fmt: skip
    with pytest.raises(UsageError, match="precision"):
        run(checked, 3)


@pytest.mark.slow
@needs_openvino
def test_a_run_says_how_near_to_torch_it_came(photos, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    monkeypatch.setattr("camcli.models.runtime.on_openvino.WORTH_IT", 3)
    for n, rgb in enumerate(photos):
        Image.fromarray(rgb).save(tmp_path / f"{n}.png")
    asked = ["batch", str(tmp_path), "--limit", "3", "--device", "cpu", "--no-overlays"]
    for extra, told in (([], True), (["--quiet"], False), (["--runtime", "torch"], False)):
        out = tmp_path / f"run{len(extra)}{told}"
        done = CliRunner().invoke(app, [*asked, "-o", str(out), *extra])
        assert done.exit_code == 0, done.output
        assert ("the features are torch's within" in done.stderr) is told
    used = json.loads((tmp_path / "run0True" / "run.json").read_text())["runtime"]
    assert used["name"] == "openvino"
    assert used["difference"] < TOLERANCE
