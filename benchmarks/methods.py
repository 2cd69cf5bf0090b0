"""What each method costs, as a ratio to the bare forward pass, beside grad-cam and torchcam.

    python benchmarks/methods.py --growth 2000
    python benchmarks/methods.py --model resnet50 --weights random --layer layer3 --scorecam 1
    python benchmarks/methods.py --rounds 0 --scorecam 24 --photos PHOTOS

All in one run, on the same images and weights, interleaved, best of several rounds, in seconds of
processor time: a busy machine disturbs it little. `--scorecam` compares Score-CAM, which takes one
forward pass a channel, in wall time on all cores, and needs a quiet machine; grad-cam's is timed on
part of the channels. `--growth` runs that many small images through the engine. Prints Markdown.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import scorecam
import torch
from scorecam import called_once, resident
from torch import Tensor

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.cam.explainer import maps_of
from camcli.cam.map_options import make_map_options
from camcli.cam.target import top_classes
from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import BuiltModel, build_model

FREE = ("cam", "gradcam", "gradcam++", "layercam", "elementwise", "finercam", "shapleycam", "fem",
        "ablationcam", "reciprocam", "eigencam", "kpcacam", "eigengradcam")  # fmt: skip
TAILED = ("gradcam", "gradcam++", "hirescam", "layercam", "shapleycam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--images", default="sample_images")
    parser.add_argument("--layer", default=None, help="an inner layer for the gradient methods")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--growth", type=int, default=0, metavar="IMAGES")
    parser.add_argument("--scorecam", type=int, default=0, metavar="PHOTOS")
    parser.add_argument("--photos", default="sample_images", help="for --scorecam")
    parser.add_argument("--channels", type=int, default=128, help="that grad-cam's is timed on")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    built = build_model(options.model, weights=options.weights)
    classifier = cut(built, ("last",))
    refs = list(find_images(options.images, limit=options.batch))
    pixels = torch.stack([classifier.preprocess.pixels(load_image(ref.path)) for ref in refs])
    print(
        f"{options.model}, batch {len(pixels)}, {options.threads} threads, torch "
        f"{torch.__version__}\n"
    )
    print("| what | CPU ms a batch | over the bare forward |\n| --- | --- | --- |")

    jobs: dict[str, Callable[[], object]] = {
        "forward, features and logits": lambda: classifier.look(pixels)
    }
    jobs |= {name: job(classifier, pixels, name) for name in FREE if classifier.head is not None}
    jobs |= peers(built, classifier, pixels)
    report(jobs, options.rounds)

    if options.layer:
        inner = cut(built, (options.layer,))
        jobs = {"forward, features and logits": lambda: classifier.look(pixels)}
        jobs |= {f"{n} at {options.layer}": job(inner, pixels, n) for n in TAILED}
        report(jobs, options.rounds)
    if classifier.head is not None:
        steps(classifier, pixels)
    if options.growth:
        growth(options.growth)
    if options.scorecam:
        refs = list(find_images(options.photos))
        some = refs[5 :: max(1, len(refs) // options.scorecam)][: options.scorecam]
        scorecam.compare(options.model, options.weights, some, options.channels)


def cut(built: BuiltModel, layers: tuple[str, ...]) -> Classifier:
    return cut_classifier(
        copy.deepcopy(built.module), classes=built.classes, preprocess=built.preprocess,
        provenance=built.provenance, device=torch.device("cpu"), layers=layers,
    )  # fmt: skip


def job(classifier: Classifier, pixels: Tensor, method: str, **options: Any) -> Callable:
    how = make_map_options(method, **options)

    def run() -> Tensor:
        seen = classifier.look(pixels)
        return maps_of(classifier, seen, top_classes(seen.logits, 1)[:, 0], how)

    return run


def peers(built: BuiltModel, classifier: Classifier, pixels: Tensor) -> dict[str, Callable]:
    """Grad-CAM in the two other packages, as their documentation shows it, where installed."""
    images = classifier.preprocess.normalise(pixels)
    module = copy.deepcopy(built.module).requires_grad_(True)
    if "+" in classifier.layer:
        return {}
    layer = called_once(module, classifier.layer, images)
    jobs: dict[str, Callable] = {"eager torch, whole network": lambda: no_grad(module, images)}
    try:
        from pytorch_grad_cam import EigenCAM, GradCAM

        jobs["grad-cam's GradCAM"] = lambda: peer(GradCAM, module, layer, images)
        jobs["grad-cam's EigenCAM"] = lambda: peer(EigenCAM, module, layer, images)
    except ImportError:
        pass
    try:
        from torchcam.methods import GradCAM as TorchcamGradCAM

        def torchcam() -> object:
            with TorchcamGradCAM(module, layer) as extractor:
                scores = module(images)
                return extractor(scores.argmax(1).tolist(), scores)

        jobs["torchcam's GradCAM"] = torchcam
    except ImportError:
        pass
    return jobs


def no_grad(module: torch.nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = module(images)
        return out


def peer(make: type, module: torch.nn.Module, layer: torch.nn.Module, images: Tensor) -> object:
    with make(model=module, target_layers=[layer]) as method:
        return method(input_tensor=images, targets=None)


def report(jobs: dict[str, Callable[[], object]], rounds: int) -> None:
    """Best of several interleaved rounds: a busy machine disturbs all alike."""
    if not rounds:
        return
    best = dict.fromkeys(jobs, float("inf"))
    for round_number in range(rounds + 1):
        for name, run in jobs.items():
            start = time.process_time()
            run()
            if round_number:  # the first warms up
                best[name] = min(best[name], time.process_time() - start)
    bare = next(iter(best.values()))
    for name, seconds in best.items():
        print(f"| {name} | {1000 * seconds:.1f} | {seconds / bare:.3f} |")


def steps(classifier: Classifier, pixels: Tensor) -> None:
    """The map step alone, of one image: next to the noise of a forward pass it does not show."""
    forward = best_of(5, lambda: classifier.look(pixels[:1]))
    seen = classifier.look(pixels[:1])
    index = top_classes(seen.logits, 1)[:, 0]
    print(f"\n| map step alone, one image | ms | of a forward pass ({1000 * forward:.1f} ms) |")
    print("| --- | --- | --- |")
    for name in FREE:
        seconds = best_of(30, partial(maps_of, classifier, seen, index, make_map_options(name)))
        print(f"| {name} | {1000 * seconds:.2f} | {100 * seconds / forward:.1f}% |")


def best_of(rounds: int, run: Callable[[], object]) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def growth(count: int) -> None:
    """Resident memory over many images, the engine and autograd at an inner layer included."""
    classifier = load_classifier("resnet18", weights="random", input_size=64, layer="layer3")
    refs = list(find_images("sample_images"))
    print("\n| what | images | MB after as many / 2 to warm up | halfway | at the end | grown |")
    print("| --- | --- | --- | --- | --- | --- |")
    for method, options, images in (
        ("gradcam", {}, count), ("scorecam", {"converge": 0.98}, count // 10),
    ):  # fmt: skip
        what = make_explanation(classifier, make_map_options(method, **options))
        warm = images // 2
        many = (refs[n % len(refs)] for n in range(warm + images))
        marks = (warm, warm + images // 2, warm + images - 1)
        at = []
        for n, _ in enumerate(stream(many, classifier, what)):
            if n in marks:
                at.append(resident("VmRSS") / 2**20)
        line = " | ".join(f"{mb:.0f}" for mb in at)
        print(f"| {method}, layer3 | {images} | {line} | {at[-1] - at[0]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
