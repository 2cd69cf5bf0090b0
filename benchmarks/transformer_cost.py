"""What maps of a transformer cost over its forward pass, and whether memory stays flat.

    python benchmarks/transformer_cost.py [--size 224] [--batch 8] [--rounds 9] [--images 2000]

A ViT-S/16 of timm with random weights: what is computed does not depend on them; `--network
torchvision` is torchvision's of that size. Each round times the bare forward pass
(`torch.inference_mode`, fused attention) and, right after it, the pass with the maps, logits
included, in seconds of the CPU, which others on the machine do not take; told is the median of the
rounds' ratios. Then `--images` images go through each of `--memory` in batches, in a process of its
own, and its peak resident memory is told after a tenth and after all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time

import timm
import torch
from torchvision.models import VisionTransformer

from camcli.cam.explainer import maps_of, watching
from camcli.cam.map_options import make_map_options
from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.loading.zoo import Provenance

METHODS = ("gradcam", "rollout", "legrad", "attnlrp", "chefer", "fullgrad")


def resident() -> float:
    """The most memory that this process has held, in MB."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def make(name: str, size: int) -> tuple[torch.nn.Module, Classifier]:
    """The network, and camcli's view of it."""
    torch.manual_seed(0)
    if name == "torchvision":
        net: torch.nn.Module = VisionTransformer(size, 16, 12, 6, 384, 1536, num_classes=10)
        torch.nn.init.normal_(net.heads.head.weight)  # zeros, else
    else:
        net = timm.create_model(name, num_classes=10, img_size=size)
    net.eval().requires_grad_(False)
    classes = tuple(f"class {n}" for n in range(10))
    classifier = cut_classifier(
        net, classes=classes, preprocess=Preprocess(size=size),
        provenance=Provenance(name, None, None, "random", {}), device=torch.device("cpu"),
    )  # fmt: skip
    return net, classifier


def explain(classifier: Classifier, pixels: torch.Tensor, method: str) -> torch.Tensor:
    """Maps of a batch, and its logits on the way."""
    how = make_map_options(method)
    seen = classifier.look(pixels, watching([how]))
    return maps_of(classifier, seen, seen.logits.argmax(1), how)


def ratio(net, classifier, pixels, method, rounds) -> tuple[float, float, float]:
    """Median of the paired ratios, and the quartiles."""
    found = []
    for n in range(rounds + 1):
        start = time.process_time()
        with torch.inference_mode():
            net(classifier.preprocess.normalise(pixels))
        middle = time.process_time()
        explain(classifier, pixels, method)
        if n:  # the first warms up
            found.append((time.process_time() - middle) / (middle - start))
    low, mid, high = statistics.quantiles(found, n=4)
    return mid, low, high


def drawn(batch: int, size: int) -> torch.Tensor:
    """Pixels (B, 3, H, W) uint8 of noise."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)


def remember(method: str, network: str, size: int, batch: int, images: int, threads: int) -> None:
    """Print how much memory many images take; for a process of its own."""
    torch.set_num_threads(threads)
    _, classifier = make(network, size)
    pixels = drawn(batch, size)
    for done in range(0, images, batch):
        explain(classifier, pixels, method)
        if done // batch in (images // batch // 10, (images - 1) // batch):
            print(f"{method}, {done + batch} images: {resident():.0f} MB at most", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="vit_small_patch16_224")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--memory", default="legrad,attnlrp")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    ask = parser.parse_args()
    torch.set_num_threads(ask.threads)
    net, classifier = make(ask.network, ask.size)
    pixels = drawn(ask.batch, ask.size)
    print(f"{ask.network}, batches of {ask.batch} at {ask.size}, {torch.get_num_threads()} threads")
    print("| method | x forward | quartiles |\n| --- | --- | --- |")
    for method in filter(None, ask.methods.split(",")):
        mid, low, high = ratio(net, classifier, pixels, method, ask.rounds)
        print(f"| {method} | {mid:.2f} | {low:.2f} to {high:.2f} |", flush=True)
    for method in filter(None, ask.memory.split(",")):
        job = (method, ask.network, ask.size, ask.batch, ask.images, ask.threads)
        process = multiprocessing.get_context("spawn").Process(target=remember, args=job)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
