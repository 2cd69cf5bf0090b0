"""What can be said about GPUs on a machine without one."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from camcli.batch import engine, lanes
from camcli.batch.explain import make_explanation
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError
from camcli.models import classifier as classifiers
from camcli.models import cuda
from camcli.models.cuda import Autocast, own_stream, to_device
from camcli.models.runtime.policy import Checked, precision_of, runtime_of, with_runtime
from camcli.models.runtime.registry import PRECISIONS

CUDA = torch.device("cuda")


@pytest.fixture
def convnet(tiny, convnet):
    return tiny(convnet())


@pytest.fixture
def vit(tiny, vit):
    return tiny(vit())


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)


@pytest.fixture
def gpu(monkeypatch):
    """The CPU in the place of a GPU."""
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda _device, dtype: autocast("cpu", dtype))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(classifiers, "to_device", lambda pixels, _device: pixels)
    monkeypatch.setattr(lanes, "own_stream", lambda _device: None)

    def placed(classifier):
        return replace(classifier, device=CUDA)

    return placed


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("network", ["convnet", "vit"])
def test_the_backbone_in_16_bits_and_the_rest_in_32(network, precision, images, gpu, request):
    plain = request.getfixturevalue(network)
    half = with_runtime(gpu(plain), "auto", precision=precision, warn=pytest.fail)
    a, b = plain.look(images), half.look(images)
    assert b.parts[0].A.dtype == b.logits.dtype == torch.float32
    assert 0 < (a.parts[0].A - b.parts[0].A).abs().max() < 0.05 * a.parts[0].A.abs().max()
    assert torch.allclose(a.logits, b.logits, atol=0.05 * float(a.logits.abs().max()))
    # From A on, everything is float32: the class token that passes by the cut, too.
    again = b.parts[0].tail(b.parts[0].A)
    assert again.dtype == torch.float32
    assert torch.allclose(again, b.logits, atol=1e-5)
    assert precision_of(half) == precision
    info = runtime_of(half)
    assert info["name"] == "torch"
    assert 0 < info["difference"] < 0.02


def test_how_near_it_came_is_said(convnet, images, gpu):
    said = []
    half = with_runtime(gpu(convnet), precision="bfloat16", say=said.append)
    for _ in range(2):
        half(images)
    assert len(said) == 1
    assert said[0].startswith("torch in bfloat16: on the first images the features have a cosine")


def test_a_network_that_overflows_in_16_bits_is_refused(convnet, images, gpu):
    with torch.no_grad():
        next(convnet.features.parameters()).mul_(1e6)
    half = with_runtime(gpu(convnet), precision="float16")
    with pytest.raises(CamcliError, match=r"torch in float16 differs.* Leave --precision out"):
        half(images)


def test_what_a_device_does_not_compute(convnet, monkeypatch):
    with pytest.raises(UsageError, match="float16 is for CUDA GPUs"):
        with_runtime(convnet, precision="float16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(UsageError, match="--precision float16"):
        with_runtime(replace(convnet, device=CUDA), precision="bfloat16")
    with pytest.raises(UsageError, match="OpenVINO runs on the CPU"):
        with_runtime(replace(convnet, device=CUDA), precision="int8")


def test_too_little_memory_is_no_disagreement(images):
    def full(_images):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    for strict in (True, False):
        checked = Checked(
            "torch", full, lambda x: x, precision="float16", strict=strict, warn=pytest.fail
        )
        with pytest.raises(torch.OutOfMemoryError):
            checked(images)


def test_two_lanes_in_16_bits_through_the_engine(bundled, photos, tmp_path, gpu):
    for n, rgb in enumerate(photos):
        Image.fromarray(rgb).save(tmp_path / f"{n}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    half = with_runtime(gpu(bundled), precision="bfloat16", warn=pytest.fail)
    source = list(find_images(tmp_path))
    results = list(engine.stream(source, half, make_explanation(half), batch_size=2))
    expected = list(engine.stream(source, bundled, make_explanation(bundled)))
    assert [r.ref for r in results] == source
    for a, b in zip(expected, results, strict=True):
        assert (a.status, a.error) == (b.status, b.error)
        if a.status != "error":
            assert abs(a.prob - b.prob) < 0.1


def test_pixels_go_to_a_gpu_from_pinned_memory_without_waiting():
    class Pixels:
        device = torch.device("cpu")
        pinned = False

        def pin_memory(self):
            other = Pixels()
            other.pinned = True
            return other

        def to(self, device, *, non_blocking):
            return device, self.pinned, non_blocking

    assert to_device(Pixels(), CUDA) == (CUDA, True, True)
    assert to_device(Pixels(), torch.device("mps"))[1] is False
    there = Pixels()
    there.device = CUDA
    assert to_device(there, CUDA)[1] is False


def test_a_lane_waits_for_the_weights_and_takes_a_stream_of_its_own(monkeypatch):
    done = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: done.append(("wait", device)))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: ("stream", device))
    monkeypatch.setattr(torch.cuda, "set_stream", done.append)
    own_stream(CUDA)
    assert done == [("wait", CUDA), ("stream", CUDA)]
    own_stream(torch.device("cpu"))
    assert len(done) == 2


def test_weights_and_images_are_channels_last(bundled):
    seen = []
    spy = replace(bundled, features=lambda images: seen.append(images) or bundled.features(images))
    spy(torch.zeros(2, 3, 224, 224, dtype=torch.uint8))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    for weight in bundled.features.parameters():
        if weight.dim() == 4:
            assert weight.is_contiguous(memory_format=torch.channels_last)


def test_sixteen_bits_leave_the_network_alone(convnet, images):
    before, _ = convnet(images)
    Autocast(convnet.features, "cpu", "bfloat16")(torch.rand(2, 3, 32, 32))
    assert torch.equal(convnet(images)[0], before)
    assert cuda.DTYPES.keys() < set(PRECISIONS)
