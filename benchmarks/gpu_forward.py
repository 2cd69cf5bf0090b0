"""The map over the bare forward pass, in each precision, eager and compiled."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from gpu_tables import Setting, Table, by_turns, ratio, synchronize
from torch import Tensor, nn

from camcli.cam.explainer import maps_of, watching
from camcli.cam.map_options import make_map_options
from camcli.cam.target import top_classes
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import build_model
from camcli.models.runtime.policy import runtime_of, with_runtime

FREE = ("gradcam", "layercam", "gradcam++", "ablationcam")
TOKENS = ("gradcam", "rollout", "legrad", "attnlrp")


def forward(setting: Setting) -> Iterator[Table]:
    """`Classifier.see` beside `see` and a map; then what the pass itself could be."""
    sizes = (4,) if setting.small else (64, 256)
    for name, weights in setting.models.items():
        plain = load_classifier(name, weights=weights, device=setting.device)
        rows: list[tuple[Any, ...]] = []
        for precision in setting.precisions:
            fast = with_runtime(plain, "torch", precision=precision)
            rows += [_row(setting, fast, "torch", precision, size) for size in sizes]
        yield Table(
            f"{name}: a map over the bare pass, eager",
            ("runtime", "precision", "batch", "img/s of the bare pass", *FREE, "layer3's gradcam"),
            rows,
            "The bare pass is camcli's own network (BatchNorm folded, channels last) with its "
            "head, images on the device. Ratios of times by turns, medians.",
        )
        yield _other_ways(setting, name, weights, plain)


def transformers(setting: Setting) -> Iterator[Table]:
    """What maps of transformers cost over the pass that takes fused attention and no autograd."""
    names = {"timm:vit_tiny_patch16_224": 2} if setting.small else {
        "timm:vit_small_patch16_224": 256, "timm:vit_base_patch16_224": 64, "vit_b_16": 64,
    }  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    try:
        for name, size in names.items():
            plain = load_classifier(name, weights="random", device=setting.device)
            images = _images(setting, plain, size)
            for precision in setting.precisions[:2]:
                fast = with_runtime(plain, "torch", precision=precision)
                jobs: dict[str, Callable[[], object]] = {"bare": partial(_logits, fast, images)}
                jobs |= {method: partial(_with_map, fast, images, method) for method in TOKENS}
                took = by_turns(setting, jobs, rounds=3, least=0.05)
                ratios = [round(ratio(took[method], took["bare"]), 2) for method in TOKENS]
                peak = _peak(setting, jobs[TOKENS[-1]])
                rows.append((name, precision, size, size / statistics.median(took["bare"]),
                             *ratios, peak))  # fmt: skip
    finally:
        yield Table(
            "Transformers: a map over the bare pass, logits included",
            ("network", "precision", "batch", "img/s of the bare pass", *TOKENS,
             f"GB at most, {TOKENS[-1]}"), rows, "Aimed at: LeGrad at most 2.2.",
        )  # fmt: skip


def _peak(setting: Setting, run: Callable[[], object]) -> float | None:
    if not setting.cuda:
        return None
    torch.cuda.reset_peak_memory_stats()
    run()
    return torch.cuda.max_memory_allocated() / 1e9


def compiled(setting: Setting) -> Iterator[Table]:
    """The same through torch.compile."""
    cases = [(name, setting.precisions[-1 if setting.small else 1]) for name in setting.models]
    for name, precision in cases[:1] if setting.small else [*cases, ("resnet50", "float32")]:
        yield _compiled(setting, name, setting.models[name], precision)


def _row(
    setting: Setting, classifier: Classifier, runtime: str, precision: str, size: int
) -> tuple[Any, ...]:
    images = _images(setting, classifier, size)
    jobs: dict[str, Callable[[], object]] = {"bare": lambda: classifier.see(images).logits}
    for method in FREE:
        jobs[method] = partial(_with_map, classifier, images, method)
    took = by_turns(setting, jobs, rounds=5, least=0.05)
    rate = size / statistics.median(took["bare"])
    ratios = [round(ratio(took[method], took["bare"]), 3) for method in FREE]
    inner: float | str = ""
    if classifier.provenance.name.startswith("resnet") and runtime == "torch":
        deep = load_classifier(classifier.provenance.name, weights="random", layer="layer3",
                               device=setting.device)  # fmt: skip
        deep = with_runtime(deep, "torch", precision=precision)
        took = by_turns(setting, {
            "bare": jobs["bare"], "inner": partial(_with_map, deep, images, "gradcam"),
        }, rounds=3, least=0.05)  # fmt: skip
        inner = round(ratio(took["inner"], took["bare"]), 3)
    return runtime, precision, size, rate, *ratios, inner


def _with_map(classifier: Classifier, images: Tensor, method: str) -> Tensor:
    how = make_map_options(method)
    seen = classifier.see(images, watching([how]))
    return maps_of(classifier, seen, top_classes(seen.logits, 1)[:, 0], how)


def _images(setting: Setting, classifier: Classifier, size: int) -> Tensor:
    side = classifier.preprocess.size
    images = torch.randn(size, 3, side, side, device=setting.device)
    return images.contiguous(memory_format=torch.channels_last)


def _other_ways(setting: Setting, name: str, weights: str | None, plain: Classifier) -> Table:
    """The network as others run it, and ways in which camcli might."""
    size = 4 if setting.small else 128
    images = _images(setting, plain, size)
    ways: dict[str, Callable[[], Any]] = {"camcli, float32": lambda: plain.see(images).logits}
    module = build_model(name, weights=weights).module.eval().requires_grad_(False)
    module.to(setting.device)
    ways["the network as it is, float32"] = partial(_plain, module, images.contiguous())
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    ways["channels last, float32"] = partial(_plain, last, images)
    backbone = plain.features
    assert isinstance(backbone, nn.Module)
    for precision in setting.precisions[1:]:
        dtype = getattr(torch, precision)
        fast = with_runtime(plain, "torch", precision=precision)
        ways[f"camcli, {precision}"] = partial(_logits, fast, images)
        ways[f"autocast, channels last, {precision}"] = partial(_autocast, last, images, dtype)
        half = copy.deepcopy(last).to(dtype)
        ways[f"weights in {precision}, channels last"] = partial(_plain, half, images.to(dtype))
        folded = copy.deepcopy(backbone).to(dtype)
        ways[f"weights in {precision}, channels last, folded"] = partial(
            _plain, folded, images.to(dtype)
        )
        graph = _captured(setting, folded, images.to(dtype))
        if graph is not None:
            ways[f"the same, as a CUDA graph, {precision}"] = graph.replay
    took = by_turns(setting, ways, rounds=5, least=0.05)
    first = took["camcli, float32"]
    rows = [
        (way, size / statistics.median(seconds), round(ratio(first, seconds), 2))
        for way, seconds in took.items()
    ]
    rows.append((f"normalising {size} images on the device, ms", _normalising(setting, plain), ""))
    return Table(f"{name}: the pass itself, batches of {size}",
                 ("way", "img/s", "x camcli in float32"), rows)  # fmt: skip


def _normalising(setting: Setting, plain: Classifier) -> float:
    side = plain.preprocess.size
    pixels = torch.zeros(
        4 if setting.small else 128, 3, side, side, dtype=torch.uint8, device=setting.device
    ).contiguous(memory_format=torch.channels_last)
    jobs: dict[str, Callable[[], object]] = {"it": lambda: plain.preprocess.normalise(pixels)}
    took = by_turns(setting, jobs, rounds=3, least=0.02)
    return 1e3 * min(took["it"])


def _logits(classifier: Classifier, images: Tensor) -> Tensor:
    return classifier.see(images).logits


def _plain(module: nn.Module, images: Tensor) -> Any:
    with torch.inference_mode():
        return module(images)


def _autocast(module: nn.Module, images: Tensor, dtype: torch.dtype) -> Any:
    with torch.inference_mode(), torch.autocast(images.device.type, dtype):
        return module(images)


def _captured(setting: Setting, module: nn.Module, images: Tensor) -> Any:
    if not setting.cuda:
        return None
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(images)
        synchronize(setting)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(images)
    return graph


def _compiled(setting: Setting, name: str, weights: str | None, precision: str) -> Table:
    plain = load_classifier(name, weights=weights, device=setting.device)
    eager = with_runtime(plain, "torch", precision=precision)
    start = time.perf_counter()
    fast = with_runtime(plain, "compile", precision=precision)
    seconds = time.perf_counter() - start
    rows: list[tuple[Any, ...]] = []
    for size in (4,) if setting.small else (64, 256):
        row = _row(setting, fast, "compile", precision, size)
        images = _images(setting, plain, size)
        took = by_turns(
            setting,
            {"eager": partial(_logits, eager, images), "compiled": partial(_logits, fast, images)},
            rounds=3, least=0.05,
        )  # fmt: skip
        faster = round(ratio(took["eager"], took["compiled"]), 2)
        rows.append((*row[:-1], faster, runtime_of(fast).get("difference"), seconds))
    head = ("runtime", "precision", "batch", "img/s of the bare pass", *FREE,
            "x as fast as eager", "from torch", "s to compile")  # fmt: skip
    return Table(f"{name}: a map over the bare pass, compiled, {precision}", head, rows)
