import threading
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.cuda import Autocast
from camcli.models.runtime import compiled
from camcli.models.runtime.compiled import Compiled
from camcli.models.runtime.policy import runtime_of, with_runtime

needs_compiler = pytest.mark.skipif(
    not compiled.has_compiler(), reason="no C++ compiler on this machine"
)


def convnet():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 5),
    )


@pytest.fixture(autouse=True)
def _compiled_here(monkeypatch, tmp_path):
    """Nothing from torch's cache on disk."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


def compilations():
    return counters["stats"]["unique_graphs"]


def photographs(count, *shape):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, *(shape or (32, 32))), generator=draw).byte()


@pytest.mark.slow
@needs_compiler
def test_batches_of_any_size_from_any_lane_are_torchs_and_compile_nothing_more(tiny):
    plain = tiny(convnet())
    fast = with_runtime(plain, "compile", warn=pytest.fail)
    pixels, before, found = photographs(19), compilations(), {}

    def lane(n):
        for count in (16, 3, 1, 8, 19):
            found[n, count] = fast(pixels[n : n + count])

    lanes = [threading.Thread(target=lane, args=(n,)) for n in range(3)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    assert len(found) == 15
    for (n, count), (A, logits) in found.items():
        expected, says = plain(pixels[n : n + count])
        assert torch.allclose(A, expected, atol=1e-5)
        assert torch.allclose(logits, says, atol=1e-5)
    # Another size, and images from outside inference mode as the methods with many passes make.
    assert torch.equal(fast(photographs(2, 64, 32))[0], plain(photographs(2, 64, 32))[0])
    images = plain.preprocess.normalise(pixels[:3])
    assert torch.allclose(fast.see(images).logits, plain.see(images).logits, atol=1e-5)
    assert compilations() == before
    info = runtime_of(fast)
    assert info["name"] == "compile"
    assert info["version"] == torch.__version__
    assert info["difference"] < 1e-5
    assert with_runtime(fast, "compile") is fast


@pytest.mark.slow
@needs_compiler
def test_as_on_a_gpu_one_compilation_serves_any_number_of_images_in_16_bits(tiny):
    plain = tiny(convnet())
    half = Autocast(plain.features, "cpu", "bfloat16")
    fast = Compiled(half, (3, 32, 32), torch.device("cpu"), slices=False)
    before, images = compilations(), torch.randn(20, 3, 32, 32)
    for count in (16, 1, 2, 5, 20):
        A = fast(images[:count])
        assert A.dtype == torch.float32
        assert torch.allclose(A, half(images[:count]), atol=0.05)
    assert compilations() == before
    fast._most = 6  # where activations have more numbers than torch counts on a GPU
    for count in (7, 20):  # of which the last part is one image, and two
        assert torch.allclose(fast(images[:count]), half(images[:count]), atol=0.05)


def test_a_batch_never_has_more_numbers_than_fit_into_32_bits(monkeypatch):
    """Torch 2.11 on a GPU refuses to compile for any larger number of images."""
    refusals = []

    def compile(run, **_):
        def pass_(images):
            if refusals:
                refusals.pop()
                raise RuntimeError("Constraints violated (L['x'].size()[0])!")
            return run(images)

        return pass_

    monkeypatch.setattr(torch, "compile", compile)
    run = torch.nn.Conv2d(3, 4, 3)
    fast = Compiled(run, (3, 224, 224), torch.device("cpu"), slices=False)
    assert fast._most == (2**31 - 1) // (64 * 224 * 224) == 668
    refusals.append(1)  # a network with wider activations
    wide = Compiled(run, (3, 224, 224), torch.device("cpu"), slices=False)
    assert wide._most == 83
    images = torch.randn(84, 3, 224, 224)
    assert torch.allclose(wide(images), run(images), atol=1e-5)
    refusals.extend([1, 1])  # whatever it is, it is not the number of images
    with pytest.raises(CamcliError, match="Constraints violated"):
        Compiled(run, (3, 224, 224), torch.device("cpu"), slices=False)


@pytest.mark.slow
@needs_compiler
def test_several_values_with_and_without_a_row_an_image():
    """As of a transformer whose class token passes by the cut."""

    class Run(torch.nn.Module):
        def forward(self, images):
            return (images * 2, torch.arange(8.0) + 1), (images.mean((2, 3)),)

    fast = Compiled(Run(), (3, 4, 4), torch.device("cpu"), slices=True)
    for count in (3, 19):
        images = torch.randn(count, 3, 4, 4)
        (double, same), (mean,) = fast(images)
        assert torch.equal(double, images * 2)
        assert torch.equal(same, torch.arange(8.0) + 1)
        assert torch.allclose(mean, images.mean((2, 3)), atol=1e-6)


# --- where it cannot run -------------------------------------------------------------------------


def test_without_a_compiler_it_is_said_what_is_missing(monkeypatch, tiny):
    monkeypatch.setattr(compiled, "has_compiler", lambda: False)
    with pytest.raises(UnavailableError, match=r"C\+\+ compiler.*install g\+\+ or clang"):
        with_runtime(tiny(convnet()), "compile")


def test_a_compiler_that_is_not_there_is_not_found():
    import torch._inductor.config as inductor

    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert not compiled.has_compiler()


def test_devices_and_networks_that_it_cannot_take(monkeypatch, tiny):
    plain = tiny(convnet())
    with pytest.raises(UsageError, match="not for mps"):
        with_runtime(replace(plain, device=torch.device("mps")), "compile")
    with pytest.raises(UsageError, match="cannot be traced"):
        with_runtime(replace(plain, features=lambda images: images), "compile")
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="pip install triton"):
        with_runtime(replace(plain, device=torch.device("cuda")), "compile")
    for precision in ("bfloat16", "int8"):
        with pytest.raises(UsageError, match="--runtime openvino"):
            with_runtime(plain, "compile", precision=precision)


@needs_compiler
def test_a_network_that_cannot_be_compiled_is_told_in_one_sentence(tiny):
    class Branches(torch.nn.Module):
        def forward(self, images):
            return images if images.sum().item() > 0 else -images

    odd = replace(tiny(convnet()), features=Branches())
    with pytest.raises(CamcliError, match=r"torch.compile failed: .* Use --runtime torch") as told:
        with_runtime(odd, "compile")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


def test_the_line_that_says_what_is_wrong():
    log = "C++ compile error\n\nOutput:\na.cpp:1:1: note: x\na.cpp:2:2: fatal error: no omp.h\n^"
    assert compiled._reason(RuntimeError(log)) == "a.cpp:2:2: fatal error: no omp.h"
    assert compiled._reason(RuntimeError("one\ntwo")) == "one"
    wrapped = RuntimeError("backend raised:")
    wrapped.__cause__ = ValueError("the cause")
    assert compiled._reason(wrapped) == "the cause"
    assert compiled._reason(KeyError()) == "KeyError()"
