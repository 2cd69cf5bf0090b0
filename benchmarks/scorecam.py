"""Score-CAM beside grad-cam's: time, memory, and how near a map that stops early is.

`benchmarks/methods.py --scorecam` calls this; it says how to run it.
"""

from __future__ import annotations

import copy
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from camcli.batch.lanes import threads
from camcli.cam.explainer import maps_of
from camcli.cam.map_options import MapOptions, make_map_options
from camcli.cam.target import top_classes
from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef
from camcli.models.classifier import Classifier, Look, cut_classifier
from camcli.models.loading.zoo import BuiltModel, build_model
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.policy import with_runtime


def compare(model: str, weights: str | None, refs: list[ImageRef], channels: int) -> None:
    """Print all tables.

    Args:
        model: a name.
        weights: a file, ``random``, or None.
        refs: photographs; the first one is timed, all of them are explained.
        channels: grad-cam's ScoreCAM is timed on this many channels.
    """
    built = build_model(model, weights=weights)
    classifier = plain(built)
    runtimes = {"torch": classifier, "OpenVINO": with_runtime(classifier, "openvino")}
    if "avx512_bf16" in Path("/proc/cpuinfo").read_text():
        runtimes["OpenVINO, bfloat16"] = with_runtime(classifier, "openvino", precision="bfloat16")
    pixels = pixels_of(classifier, refs[0])
    with torch.inference_mode():
        K = classifier.look(pixels).parts[0].A.shape[1]
    seconds = equal_output(built, runtimes, pixels, min(channels, K), K)
    if built.provenance.source != "random":
        early(runtimes["OpenVINO"], refs, seconds)
    stopped(runtimes, pixels, seconds)
    memory(model, weights, refs[0].path)


def plain(built: BuiltModel) -> Classifier:
    return cut_classifier(
        copy.deepcopy(built.module), classes=built.classes, preprocess=built.preprocess,
        provenance=built.provenance, device=torch.device("cpu"),
    )  # fmt: skip


def pixels_of(classifier: Classifier, ref: ImageRef | Path) -> Tensor:
    path = ref if isinstance(ref, Path) else ref.path
    return classifier.preprocess.pixels(load_image(path))[None]


@contextmanager
def lanes() -> Iterator[Callable[[MapOptions], MapOptions]]:
    """What `explain` and `batch` do for methods with many passes: a thread a core, malloc tuned."""
    count = available_cores()
    with threads(1), ThreadPoolExecutor(count) as pool:
        yield lambda how: replace(how, effort=replace(how.effort, pool=pool, lanes=count))


def equal_output(
    built: BuiltModel, runtimes: dict[str, Classifier], pixels: Tensor, channels: int, K: int
) -> float:
    """The same map in the same number of passes: grad-cam's seconds for all K channels.

    Each is shown the first `channels` of the K channels alone: time goes by the number of passes.
    """
    best: dict[str, float] = {}
    maps: dict[str, Tensor] = {}
    module = copy.deepcopy(built.module)
    for name in ("grad-cam's ScoreCAM", "the same with camcli's allocator settings"):
        torch.set_num_threads(available_cores())
        keep(best, maps, name, lambda: theirs(module, runtimes["torch"], pixels, channels))
        with lanes() as shared:  # the allocator stays as this sets it
            how = shared(make_map_options("scorecam-softmax", score="logit"))
            for runtime, classifier in runtimes.items():
                few = Few(classifier, channels)
                run = partial(ours, few, pixels, how)
                keep(best, maps, f"camcli, {runtime}", run)
    first = next(iter(best))
    print(f"\n### Score-CAM at equal output, {channels} of {K} channels, one photograph\n")
    print(f"| what | s | s for all {K}, by passes | times faster | cosine to grad-cam's map |")
    print("| --- | --- | --- | --- | --- |")
    for name, seconds in best.items():
        near = torch.cosine_similarity(maps[first].flatten(), maps[name].flatten(), dim=0)
        print(
            f"| {name} | {seconds:.1f} | {seconds * K / channels:.0f} | "
            f"{best[first] / seconds:.2f} | {near:.5f} |"
        )
    return best[first] * K / channels


def keep(
    best: dict[str, float], maps: dict[str, Tensor], name: str, run: Callable[[], Tensor]
) -> None:
    start = time.perf_counter()
    m = run()
    seconds = time.perf_counter() - start
    best[name] = min(seconds, best.get(name, seconds))
    # Cut off below and scaled as grad-cam returns it.
    maps[name] = m.clamp(min=0)


class Few:
    """A classifier of which only the first channels are explained; it counts its passes.

    After `most` passes it repeats what it saw, for memory: further passes take no more of it.
    """

    def __init__(
        self, classifier: Classifier, channels: int | None = None, most: float = float("inf")
    ) -> None:
        self.classifier, self.channels, self.most, self.passes = classifier, channels, most, 0
        self.last: Look | None = None

    def look(self, pixels: Tensor) -> Look:
        """As the classifier, with fewer channels."""
        seen = self.classifier.look(pixels)
        part = seen.parts[0]
        return replace(seen, parts=(replace(part, A=part.A[:, : self.channels]),))

    def see(self, images: Tensor) -> Look:
        """As the classifier, at first."""
        self.passes += len(images)
        seen = self.last  # by whichever lane was last
        if seen is None or len(seen.logits) < len(images) or self.passes <= self.most:
            self.last = seen = self.classifier.see(images)
        return replace(seen, logits=seen.logits[: len(images)])


def ours(classifier: Few, pixels: Tensor, how: MapOptions) -> Tensor:
    seen = classifier.look(pixels)
    index = top_classes(seen.logits, 1)[:, 0]
    return maps_of(classifier, seen, index, how)  # type: ignore[arg-type]


class Brief(torch.nn.Module):
    """A network that repeats what it said after so many batches, for memory."""

    def __init__(self, module: torch.nn.Module, most: int) -> None:
        super().__init__()
        self.module, self.left, self.last = module, most, torch.empty(0)

    def forward(self, images: Tensor) -> Tensor:
        """As the network, at first."""
        if self.left > 0 or len(self.last) < len(images):
            self.last = self.module(images)
            self.left -= 1
        return self.last[: len(images)]


def theirs(
    module: torch.nn.Module, classifier: Classifier, pixels: Tensor, channels: int, most: int = 0
) -> Tensor:
    """grad-cam's map (1, h, w) before it is upsampled and scaled; `most` batches, 0 for all."""
    from pytorch_grad_cam import ScoreCAM

    class OfFew(ScoreCAM):
        def get_cam_image(self, images, layer, targets, activations, *rest):
            few = activations[:, :channels]
            self.plain = super().get_cam_image(images, layer, targets, few, *rest)
            return self.plain

    images = classifier.preprocess.normalise(pixels)
    layer = called_once(module, classifier.layer, images)
    network = Brief(module, most) if most else module
    with OfFew(model=network, target_layers=[layer]) as method:
        method(input_tensor=images, targets=None)
        return torch.from_numpy(method.plain)


def called_once(module: torch.nn.Module, name: str, images: Tensor) -> torch.nn.Module:
    """The module called `name`, or the one around it that is called once in a forward pass.

    A ReLU may serve a block three times, and packages that hook it would see the first.
    """
    while True:
        calls: list[int] = []
        layer = module.get_submodule(name)
        hook = layer.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        with torch.no_grad():
            module(images[:1])
        hook.remove()
        if len(calls) == 1:
            return layer
        name = name.rpartition(".")[0]


def stopped(runtimes: dict[str, Classifier], pixels: Tensor, whole: float) -> None:
    """One photograph, from pixels to map, against grad-cam's seconds for all channels."""
    print("\n### Score-CAM that stops early, one photograph\n")
    print("| what | s | passes | times faster than grad-cam's |\n| --- | --- | --- | --- |")
    with lanes() as shared:
        how = shared(make_map_options("scorecam", converge=0.98))
        for runtime, classifier in runtimes.items():
            times = []
            for _ in range(3):
                counted = Few(classifier)
                start = time.perf_counter()
                ours(counted, pixels, how)
                times.append(time.perf_counter() - start)
            print(
                f"| --converge 0.98, {runtime} | {min(times):.2f} | {counted.passes} | "
                f"{whole / min(times):.0f} |"
            )


def early(classifier: Classifier, refs: list[ImageRef], whole: float) -> None:
    """How near `--converge` comes to the full map, over photographs; grad-cam takes `whole` s."""
    kinds = {"0.98": 0.98, "0.99": 0.99, "0.995": 0.995}
    near: dict[str, list[float]] = {label: [] for label in [*kinds, "all weights equal"]}
    passes: dict[str, list[int]] = {label: [] for label in [*kinds, "all channels"]}
    spent = dict.fromkeys(passes, 0.0)
    with lanes() as shared:
        for ref in refs:
            pixels = pixels_of(classifier, ref)
            maps = {}
            for label in passes:
                how = shared(make_map_options("scorecam", converge=kinds.get(label)))
                counted = Few(classifier)
                start = time.perf_counter()
                maps[label] = ours(counted, pixels, how).clamp(min=0).flatten()
                spent[label] += time.perf_counter() - start
                passes[label].append(counted.passes)
            maps["all weights equal"] = classifier.look(pixels).parts[0].A.sum(1).flatten()
            for label in near:
                cosine = torch.cosine_similarity(maps["all channels"], maps[label], dim=0)
                near[label].append(float(cosine))
    print(f"\n### --converge against the full map, {len(refs)} photographs, OpenVINO\n")
    print(
        "| --converge | masks: median, most | s an image | times faster than grad-cam's "
        "| cosine: median | 5% | least |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for label in ["all channels", *near]:
        low = sorted(near.get(label, [1.0]))
        masks = passes.get(label)
        cost = f"{statistics.median(masks):.0f}, {max(masks)}" if masks else "0"
        mean = spent.get(label, 0) / len(refs)
        time_taken = f"{mean:.2f} | {whole / mean:.0f}" if masks else "|"
        print(
            f"| {label} | {cost} | {time_taken} | {statistics.median(low):.4f} | "
            f"{low[len(low) // 20]:.4f} | {low[0]:.4f} |"
        )


# What is compared in memory: a method of camcli's with its options, and what runs the network.
KINDS: dict[str, tuple[str, dict[str, float], str]] = {
    "camcli, torch": ("scorecam", {}, "torch"),
    "camcli, OpenVINO, its conversion included": ("scorecam", {}, "openvino"),
    "camcli, --converge 0.98, torch": ("scorecam", {"converge": 0.98}, "torch"),
    "camcli, sscam, torch": ("sscam", {"samples": 2}, "torch"),
    "camcli, iscam, torch": ("iscam", {"samples": 2}, "torch"),
}


def memory(model: str, weights: str | None, photo: Path) -> None:
    """Peaks above what a process has once the network is loaded, each in one of its own.

    Masks are made for all channels; the network answers the first of them and then repeats itself.
    """
    print("\n### Memory above the loaded network, all channels\n\n| what | GB |\n| --- | --- |")
    for what in ("grad-cam's ScoreCAM", *KINDS):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peak = pool.submit(_peak, what, model, weights, photo).result()
        print(f"| {what} | {peak:.2f} |", flush=True)


def _peak(what: str, model: str, weights: str | None, photo: Path) -> float:
    built = build_model(model, weights=weights)
    classifier = plain(built)
    pixels = pixels_of(classifier, photo)
    before = resident("VmRSS")
    if what not in KINDS:
        theirs(built.module, classifier, pixels, 1 << 30, most=4)
    else:
        method, options, runtime = KINDS[what]
        few = Few(with_runtime(classifier, runtime), most=128)
        with lanes() as shared:
            ours(few, pixels, shared(make_map_options(method, **options)))  # type: ignore[arg-type]
    return (resident("VmHWM") - before) / 2**30


def resident(field: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("This needs Linux's /proc.")
