import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.cutting.types import LinearHead
from camcli.models.pooling.network import POOLED, with_pooling
from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pooled_maps
from camcli.models.runtime import int8
from camcli.models.runtime.policy import precision_of, runtime_of, with_runtime

needs_nncf = pytest.mark.skipif(
    not (importlib.util.find_spec("nncf") and importlib.util.find_spec("openvino")),
    reason="nncf or openvino is not installed",
)


@pytest.fixture
def plain(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 5),
    )
    torch.nn.init.normal_(network[-1].weight)
    return tiny(network)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for n in range(20):
        small = draw.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(small).resize((40 + n % 3, 36)).save(folder / f"{n}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return find_images(folder)


def tell(said):
    return {"warn": pytest.fail, "say": said.append}


@needs_nncf
def test_int8_is_near_float32_tells_how_near_and_is_kept_on_disk(plain, source, monkeypatch, capfd):
    said = []
    fast = with_runtime(plain, precision="int8", images=source, **tell(said))
    assert precision_of(fast) == "int8"
    found = runtime_of(fast)["agreement"]
    assert found["images"] == 20
    assert found["top1"] >= int8.TOP1
    assert found["cosine"] >= int8.COSINE
    assert said[:2] == ["Calibrating int8 on 20 images ...", "Converting tiny to OpenVINO ..."]
    (told,) = said[2:]
    assert "20 of your images" in told
    assert capfd.readouterr().out == ""  # standard output is for data
    images = torch.stack(int8.sample(source, plain.preprocess))[:11]
    A, _ = plain(images)
    B, _ = fast(images)
    assert not torch.allclose(A, B, atol=1e-5)  # or nothing was quantised
    assert torch.cosine_similarity(A.flatten(1), B.flatten(1)).min() > 0.99

    monkeypatch.setattr(int8, "_quantise", lambda *_: pytest.fail("made again"))
    again = with_runtime(plain, precision="int8", images=source, **tell(said))
    assert torch.equal(again(images)[0], B)


@needs_nncf
def test_statistics_of_maps_are_not_quantised(plain, source):
    """Of the maps in eight bits they are exact: of squares in eight bits little is left."""
    pooling = Pooling.read("mean+max+std")
    pooled = with_pooling(plain.features, True, pooling)
    head = LinearHead(torch.randn(5, 48, generator=torch.Generator().manual_seed(1)), torch.ones(5))
    classifier = replace(plain, features=pooled, tail=head, head=head, layer=POOLED)
    images = torch.stack(int8.sample(source, plain.preprocess))[:8]
    fast = with_runtime(classifier, precision="int8", images=source, **tell([]))
    maps = with_runtime(plain, precision="int8", images=source, **tell([]))(images)[0]
    torch.testing.assert_close(
        fast(images)[0], pooled_maps(pooling, {"last": maps}), rtol=1e-4, atol=1e-4
    )


@needs_nncf
def test_another_sample_is_calibrated_on_anew(plain, source, monkeypatch):
    calls = []
    quantise = int8._quantise
    monkeypatch.setattr(int8, "_quantise", lambda *args: calls.append(1) or quantise(*args))
    for images in (source, source, find_images(source.root, limit=17)):
        with_runtime(plain, precision="int8", images=images, **tell([]))
    assert len(calls) == 2


@needs_nncf
def test_what_does_not_bear_int8_is_refused(plain, source, monkeypatch):
    monkeypatch.setattr(int8, "COSINE", 1.01)
    with pytest.raises(CamcliError, match=r"tiny does not bear int8.*Leave --precision int8 out"):
        with_runtime(plain, precision="int8", images=source, **tell([]))


@needs_nncf
def test_too_few_images_to_calibrate_on(plain, source):
    few = find_images(source.root, limit=5)
    for images in (few, None):
        with pytest.raises(UsageError, match="needs 16 of them"):
            with_runtime(plain, precision="int8", images=images)


def test_without_nncf_it_is_said_how_to_get_it(plain, source, monkeypatch):
    pytest.importorskip("openvino")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "nncf" else find(name, *a)
    )
    with pytest.raises(UnavailableError, match=r"camcli\[int8\]"):
        with_runtime(plain, precision="int8", images=source)


def test_the_sample_is_spread_evenly(plain, source, monkeypatch):
    monkeypatch.setattr(int8, "SAMPLE", 5)
    monkeypatch.setattr(int8, "FEWEST", 1)
    read = []
    monkeypatch.setattr(
        int8, "load_image", lambda ref: read.append(ref) or np.zeros((32, 32, 3), np.uint8)
    )
    int8.sample(source, plain.preprocess)
    assert [list(source).index(ref) for ref in read] == [0, 4, 8, 12, 16]


def test_two_empty_maps_agree_and_one_does_not():
    a = torch.tensor([[0.0, 0], [1, 0], [0, 0]])
    b = torch.tensor([[0.0, 0], [2, 0], [1, 0]])
    assert int8._cosine(a, b).tolist() == [1, 1, 0]
