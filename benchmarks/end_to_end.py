"""From a folder of JPEGs to overlays and rows: camcli, plain scripts over its peers, the bare pass.

    python benchmarks/end_to_end.py PHOTOS [--models resnet50,efficientnet_lite0] [--rounds 3]
        [--parts table,stages,scaling]

Every photograph is brought to 500x375 pixels first. Everything takes turns, medians over the
rounds; the ratios are what counts. Compared are

- scripts over grad-cam and torchcam as their READMEs show them: one image at a time, the map on
  the 224-pixel crop that the network saw, a JPEG and a row for each. Each in a process of its own,
  because `batch` tunes the memory allocator of its process;
- the same two with what a user can tune: batches of 16, channels last, and no gradients on the
  weights for grad-cam;
- the bare forward pass of each runtime, the best of several batch sizes, one lane a core, images
  ready in memory, with the tuned allocator;
- `camcli.batch`, which draws on the whole photograph, labels it, and writes maps beside the table.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from camcli.api import batch
from camcli.batch.explain import Decoded, explain_batch, make_explanation, read
from camcli.batch.lanes import keep_big_blocks
from camcli.batch.tables.rows import row
from camcli.data.decode.images import load_image
from camcli.data.decode.preprocess import Preprocess, stacked
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import build_model
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.policy import with_runtime
from camcli.render.picture import encode_jpeg
from camcli.render.style import Style

RUNTIMES = {
    "torch": ("torch", "float32"),
    "openvino": ("openvino", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
    "openvino int8": ("openvino", "int8"),
}
SIZES = (250, 500, 1000, 2000)
BATCH = 16


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", default="resnet50,efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=64, help="photographs in a round of camcli")
    parser.add_argument("--peer-limit", type=int, default=16, help="and in one of a script")
    parser.add_argument("--parts", default="table,stages,scaling")
    args = parser.parse_args()
    print(f"{_machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        scaled = {
            width: _photographs(args.photos, Path(folder) / str(width), width, args.limit)
            for width in (SIZES if "scaling" in args.parts else (500,))
        }
        for name in args.models.split(","):
            print(f"## {name}\n", flush=True)
            weights = None if name == "efficientnet_lite0" else "random"
            plain = load_classifier(name, weights=weights)
            table = "table" in args.parts
            ready = _runtimes(plain, scaled[500], RUNTIMES if table else {"openvino"})
            if table:
                _table(name, weights, ready, scaled[500], args)
            if "stages" in args.parts:
                _stages(ready["openvino"], scaled[500])
            if "scaling" in args.parts:
                _scaling(ready["openvino"], scaled, args)


def _machine() -> str:
    libraries = ("torch", "openvino", "grad-cam", "torchcam", "numpy", "opencv-python-headless")
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return f"{platform.platform()}, {available_cores()} cores, Python " \
           f"{platform.python_version()}, {versions}"  # fmt: skip


def _photographs(source: Path, folder: Path, width: int, limit: int) -> Path:
    """So many photographs as JPEGs of width x 3/4 width pixels."""
    folder.mkdir()
    for n, ref in zip(range(limit), find_images(source), strict=False):
        picture = cv2.resize(load_image(ref), (width, width * 3 // 4), interpolation=cv2.INTER_AREA)
        (folder / f"{n:04}.jpg").write_bytes(encode_jpeg(picture, 90))
    return folder


def _runtimes(plain: Classifier, photos: Path, labels: Iterable[str]) -> dict[str, Classifier]:
    ready = {}
    for label in labels:
        runtime, precision = RUNTIMES[label]
        try:
            ready[label] = with_runtime(
                plain, runtime, precision=precision, images=find_images(photos),
                say=lambda text: print(f"{text}\n", flush=True),
            )  # fmt: skip
        except CamcliError as error:
            print(f"{label}: {error}\n")
    return ready


# --- the table -----------------------------------------------------------------------------------


def _table(
    name: str, weights: str | None, ready: dict[str, Classifier], photos: Path,
    args: argparse.Namespace,
) -> None:  # fmt: skip
    few = sorted(photos.iterdir())[: args.peer_limit]
    # Each returns images a second.
    work: dict[str, Callable[[], float]] = {}
    with ExitStack() as processes:
        for label in SCRIPTS:
            alone = processes.enter_context(
                ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            )
            work[label] = partial(_elsewhere, alone, label, name, weights, few)
        for label, classifier in ready.items():
            size = _best_batch(classifier)
            bare = partial(bare_forward, classifier, size, args.limit)
            work[f"bare forward, {label}, batches of {size}"] = partial(_rate, bare)
            work[f"camcli batch, {label}"] = partial(
                _rate, partial(camcli_batch, classifier, photos)
            )
        rates: dict[str, list[float]] = {label: [] for label in work}
        for number in range(args.rounds + 1):
            for label, run in work.items():
                rate = run()
                if number:  # the first round warms up
                    rates[label].append(rate)
    print("| what | img/s | x grad-cam | x tuned | x torchcam | x tuned | of bare |")
    print("|" + " --- |" * 7)
    for label, found in rates.items():
        cells = [f"{statistics.median(found):.1f}"]
        cells += [f"{_ratio(found, rates[other]):.2f}" for other in SCRIPTS]
        alike = [o for o in rates if o.startswith(f"bare forward, {label[14:]},")]
        cells += [f"{_ratio(found, rates[other]):.2f}" for other in alike] or [""]
        print(f"| {label} | " + " | ".join(cells) + " |")
    print(flush=True)


def _elsewhere(process: ProcessPoolExecutor, *about: Any) -> float:
    return process.submit(script, *about).result()


def _rate(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    images = run()
    return images / (time.perf_counter() - start)


def _ratio(a: list[float], b: list[float]) -> float:
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def script(
    label: str, name: str, weights: str | None, files: list[Path], device: str = "cpu"
) -> float:
    """Images a second of one of `SCRIPTS`, in this process; loading the network does not count."""
    run, tuned = SCRIPTS[label]
    module, preprocess = _built(name, weights)
    module.to(device)
    return _rate(lambda: run(module, preprocess, files, tuned))


@cache
def _built(name: str, weights: str | None) -> tuple[Any, Preprocess]:
    built = build_model(name, weights=weights)
    return built.module, built.preprocess


def grad_cam_script(module: Any, preprocess: Preprocess, files: list[Path], tuned: bool) -> int:
    """As pytorch-grad-cam's README; `tuned` adds batches and frees the weights of gradients."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image

    layer = module.layer4[-1] if hasattr(module, "layer4") else module.bn2
    module.requires_grad_(not tuned)
    if tuned:
        module.to(memory_format=torch.channels_last)
    with _output() as (folder, table), GradCAM(model=module, target_layers=[layer]) as cam:
        for group in _groups(files, _batch_of(module, tuned)):
            tensors, crops = _loaded(preprocess, group, tuned)
            images = torch.cat(tensors).to(next(module.parameters()).device)
            if tuned:
                images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
            maps = cam(input_tensor=images, targets=None)
            best = cam.outputs.detach().softmax(1).max(1)
            for n, file in enumerate(group):
                picture = show_cam_on_image(crops[n], maps[n], use_rgb=True)
                cv2.imwrite(str(folder / file.name), picture[..., ::-1])
                table.writerow([file.name, int(best.indices[n]), float(best.values[n])])
    return len(files)


def torchcam_script(module: Any, preprocess: Preprocess, files: list[Path], tuned: bool) -> int:
    """As torchcam's README, with the same method as the others; `tuned` adds batches."""
    from torchcam.methods import GradCAM
    from torchcam.utils import overlay_mask
    from torchvision.transforms.v2.functional import to_pil_image

    layer = module.layer4 if hasattr(module, "layer4") else module.bn2
    if tuned:
        module.to(memory_format=torch.channels_last)
    module.requires_grad_(True)
    with _output() as (folder, table), GradCAM(module, target_layer=layer) as extractor:
        for group in _groups(files, _batch_of(module, tuned)):
            tensors, crops = _loaded(preprocess, group, tuned)
            images = torch.cat(tensors).to(next(module.parameters()).device)
            if tuned:
                images = images.contiguous(memory_format=torch.channels_last)
            scores = module(images)
            best = scores.detach().softmax(1).max(1)
            maps = extractor(best.indices.tolist(), scores)[0]
            for n, file in enumerate(group):
                photograph = Image.fromarray(np.uint8(255 * crops[n]))
                heat = to_pil_image(maps[n].nan_to_num().cpu(), mode="F")
                overlay_mask(photograph, heat, alpha=0.5).save(folder / file.name)
                table.writerow([file.name, int(best.indices[n]), float(best.values[n])])
    return len(files)


SCRIPTS = {
    "script over grad-cam": (grad_cam_script, False),
    "script over grad-cam, tuned": (grad_cam_script, True),
    "script over torchcam": (torchcam_script, False),
    "script over torchcam, tuned": (torchcam_script, True),
}


def _batch_of(module: Any, tuned: bool) -> int:
    """Images at a time; a GPU that its user has tuned takes more."""
    there = next(module.parameters()).device.type != "cpu"
    return (4 * BATCH if there else BATCH) if tuned else 1


def _loaded(
    preprocess: Preprocess, files: list[Path], tuned: bool
) -> tuple[tuple[torch.Tensor, ...], tuple[np.ndarray, ...]]:
    """Inputs and crops; by threads, as a user tunes it, where there are cores for them."""
    workers = available_cores() if tuned and available_cores() > 2 else 1
    with ThreadPoolExecutor(workers) as pool:
        tensors, crops = zip(*pool.map(partial(_as_scripts_do, preprocess), files), strict=True)
    return tensors, crops


def _as_scripts_do(preprocess: Preprocess, file: Path) -> tuple[torch.Tensor, np.ndarray]:
    """The network's input (1, 3, H, W), and the crop (H, W, 3) in [0, 1]."""
    from torchvision.transforms.v2 import functional

    image = Image.open(file).convert("RGB")
    image = functional.center_crop(functional.resize(image, [256]), [preprocess.size])
    crop = np.asarray(image, np.float32) / 255
    tensor = functional.normalize(
        torch.from_numpy(crop).permute(2, 0, 1), preprocess.mean, preprocess.std
    )
    return tensor[None], crop


@contextmanager
def _output() -> Iterator[tuple[Path, Any]]:
    """A folder and a table in it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "table.csv").open("w", newline="") as file,
    ):
        yield Path(folder), csv.writer(file)


def _groups(files: list[Path], size: int) -> Iterator[list[Path]]:
    for start in range(0, len(files), size):
        yield files[start : start + size]


def bare_forward(classifier: Classifier, size: int, images: int) -> int:
    """The forward pass alone, one lane a core."""
    side = classifier.preprocess.size
    batch = torch.randn(size, 3, side, side).contiguous(memory_format=torch.channels_last)

    def lane(_: int) -> int:
        with torch.inference_mode():
            return len(classifier.features(batch))

    torch.set_num_threads(1)
    keep_big_blocks()
    with ThreadPoolExecutor(available_cores()) as lanes:
        return sum(lanes.map(lane, range(max(2 * available_cores(), images // size))))


def _best_batch(classifier: Classifier) -> int:
    def rate(size: int) -> float:
        bare_forward(classifier, size, 1)
        start = time.perf_counter()
        return bare_forward(classifier, size, 32) / (time.perf_counter() - start)

    return max((2, 4, 8, 16), key=rate)


def camcli_batch(classifier: Classifier, photos: Path) -> int:
    """`camcli.batch`; the classifier has its runtime already."""
    with tempfile.TemporaryDirectory() as out:
        results = batch(photos, Path(out) / "run", classifier, runtime="torch")
        return sum(result.status != "error" for result in results)


# --- what it goes to -----------------------------------------------------------------------------


def _stages(classifier: Classifier, photos: Path) -> None:
    """Milliseconds of one core an image, one stage after the other."""
    torch.set_num_threads(1)
    refs = list(find_images(photos))[:32]
    what, style = make_explanation(classifier), Style()
    preprocess = classifier.preprocess
    cost: dict[str, float] = {}

    def timed(stage: str, run: Callable[[], Any]) -> Any:
        run()
        start = time.process_time()  # which other programs disturb less
        out = run()
        cost[stage] = 1e3 * (time.process_time() - start) / len(refs)
        return out

    pictures = timed("read and decode", lambda: [load_image(ref) for ref in refs])
    pixels = timed("resize and crop", lambda: [preprocess.pixels(rgb) for rgb in pictures])
    stack = stacked(pixels)
    images = timed("normalise", lambda: preprocess.normalise(stack))
    with torch.inference_mode():
        timed("network", lambda: [classifier.features(part) for part in images.split(BATCH)])
    outcomes = [read(ref, classifier, lambda rgb: rgb) for ref in refs]
    decoded = [outcome for outcome in outcomes if isinstance(outcome, Decoded)]
    results = timed("all of explain_batch", lambda: [
        result for n in range(0, len(decoded), BATCH)
        for result in explain_batch(classifier, decoded[n : n + BATCH], what)
    ])  # fmt: skip
    cost["maps and numbers"] = (
        cost.pop("all of explain_batch") - cost["normalise"] - cost["network"]
    )
    drawn = timed("draw overlay and strip", lambda: [
        style.draw(rgb, result) for rgb, result in zip(pictures, results, strict=True)
    ])  # fmt: skip
    files = timed("encode", lambda: [encode_jpeg(picture, style.quality) for picture in drawn])
    with tempfile.TemporaryDirectory() as folder:
        timed("write", lambda: [
            (Path(folder) / f"{n}.jpg").write_bytes(data) for n, data in enumerate(files)
        ])  # fmt: skip
    timed("row", lambda: [row(result, what.top) for result in results])
    print("| stage (openvino, float32) | ms of a core an image |\n| --- | --- |")
    for stage, ms in cost.items():
        print(f"| {stage} | {ms:.2f} |")
    print(f"| sum | {sum(cost.values()):.2f} |\n", flush=True)


def _scaling(classifier: Classifier, scaled: dict[int, Path], args: argparse.Namespace) -> None:
    """With image size, and with cores where the system lets one choose."""
    print("| photographs (openvino, float32) | cores | img/s |\n| --- | --- | --- |")
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    counts = {2**n for n in range(6) if 2**n < len(own)} | {available_cores()}
    for count in sorted(counts):
        _use_cores(own[:count])
        for width, photos in scaled.items():
            if count == max(counts) or width == 500:
                run = partial(camcli_batch, classifier, photos)
                rates = [_rate(run) for _ in range(args.rounds)]
                print(f"| {width}x{width * 3 // 4} | {count} | {statistics.median(rates):.1f} |")
    _use_cores(own)
    print(flush=True)


def _use_cores(cores: list[int]) -> None:
    if cores:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


if __name__ == "__main__":
    main()
