"""What each method costs, as a ratio to the bare forward pass, beside grad-cam and torchcam.

    python benchmarks/methods.py --images sample_images --model efficientnet_lite0
    python benchmarks/methods.py --model resnet50 --weights random --slow

All in one run, on the same images and weights, interleaved, best of several rounds, in seconds of
processor time: a busy machine disturbs it little. Prints Markdown tables. `--slow` adds Score-CAM,
which takes one forward pass a channel.
"""

from __future__ import annotations

import argparse
import copy
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor

from camcli.cam.look import make_how, maps_of
from camcli.cam.target import top_classes
from camcli.data.images import load_image
from camcli.data.sources import find_images
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.zoo import BuiltModel, build_model

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
    parser.add_argument("--slow", action="store_true")
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
    if options.slow:
        slow(built, classifier, pixels)


def cut(built: BuiltModel, layers: tuple[str, ...]) -> Classifier:
    return cut_classifier(
        copy.deepcopy(built.module), classes=built.classes, preprocess=built.preprocess,
        provenance=built.provenance, device=torch.device("cpu"), layers=layers,
    )  # fmt: skip


def job(classifier: Classifier, pixels: Tensor, method: str, **options: float) -> Callable:
    how = make_how(method, **options)  # type: ignore[arg-type]

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
    layer = module.get_submodule(classifier.layer)
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


def slow(built: BuiltModel, classifier: Classifier, pixels: Tensor) -> None:
    """Score-CAM of the first images: all channels, stopped early, and grad-cam's."""
    print("\n| Score-CAM, one image | CPU s | passes | cosine to the full map |")
    print("| --- | --- | --- | --- |")
    kinds = {"full": {}, "--converge 0.98": {"converge": 0.98}, "--channels 64": {"channels": 64}}
    for n in range(min(3, len(pixels))):
        one = pixels[n : n + 1]
        maps = {}
        for label, options in kinds.items():
            counted = Counted(classifier)
            seconds, m = timed(job(counted, one, "scorecam", **options))  # type: ignore[arg-type]
            maps[label] = m.clamp(min=0).flatten()
            near = torch.cosine_similarity(maps["full"], maps[label], dim=0)
            print(f"| image {n}, {label} | {seconds:.1f} | {counted.passes} | {near:.4f} |")
    try:
        from pytorch_grad_cam import ScoreCAM
    except ImportError:
        return
    module = copy.deepcopy(built.module)
    layer = module.get_submodule(classifier.layer)
    images = classifier.preprocess.normalise(pixels[:1])
    seconds, _ = timed(lambda: peer(ScoreCAM, module, layer, images))
    print(f"| image 0, grad-cam's ScoreCAM | {seconds:.1f} | | |")
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


class Counted:
    """A classifier that counts the images that it sees."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier, self.passes = classifier, 0

    def look(self, pixels: Tensor) -> object:
        """As the classifier."""
        return self.classifier.look(pixels)

    def see(self, images: Tensor) -> object:
        """As the classifier."""
        self.passes += len(images)
        return self.classifier.see(images)


def timed(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
