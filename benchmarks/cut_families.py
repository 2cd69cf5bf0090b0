"""Every family of torchvision and timm, cut in two: is it still the same network, and the same map?

    python benchmarks/cut_families.py                        one network a family, random weights
    python benchmarks/cut_families.py torchvision            one library
    python benchmarks/cut_families.py timm:levit timm:swin   some families, or full names
    python benchmarks/cut_families.py --out FILE.csv ...     rows also there, as they are finished

The truth knows nothing of camcli: the original module is run once more with autograd on, the tensor
that holds A is found among all that its functions return *by its values*, and Grad-CAM is made of
the gradient that autograd leaves there. Prints a row a network: the layer that ``last`` means, the
largest difference of the logits (of their spread), and the cosine of the two maps, before ReLU.
"""

from __future__ import annotations

import argparse
import copy
import csv
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Below this a map is another one.
SAME = 0.999


@dataclass
class Row:
    """What came of one network.

    Attributes:
        name: of the network.
        layer: where it was cut.
        shape: of A, (K, h, w).
        traced: whether its graph was cut; else hooks were used.
        logits: the largest difference from the network's own, over their standard deviation.
        cosine: of Grad-CAM by the cut to Grad-CAM by autograd on the original; the worst image.
        seconds: that the cut took.
        error: what went wrong instead.
    """

    name: str
    layer: str = ""
    shape: str = ""
    traced: bool = True
    logits: float = float("nan")
    cosine: float = float("nan")
    seconds: float = 0.0
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether the cut network is the network."""
        return not self.error and self.logits < 1e-3 and self.cosine >= SAME


class _Finds(TorchFunctionMode):
    """Finds the tensor in a forward pass that holds A, and lets autograd keep its gradient there.

    Attributes:
        found: such tensors in order, and how each becomes (B, K, h, w).
    """

    def __init__(self, A: Tensor) -> None:
        super().__init__()
        self.A, self.found = A, list[tuple[Tensor, Any]]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            return self._noted(out)
        if type(out) in (tuple, list):
            return type(out)(self._noted(o) if isinstance(o, Tensor) else o for o in out)
        return out

    def _noted(self, out: Tensor) -> Tensor:
        turn = self._turn(out)
        if turn is None or not out.requires_grad:
            return out
        maps = turn(out.detach()).to(self.A)
        if not torch.allclose(maps, self.A, rtol=1e-3, atol=1e-3 * float(self.A.abs().max())):
            return out
        if out.grad_fn is not None:
            out.retain_grad()
        self.found.append((out, turn))
        return out.clone()  # so that nothing writes over the one that keeps the gradient

    def _turn(self, out: Tensor) -> Any:
        """What makes maps of a tensor of this shape; None if it cannot hold A."""
        B, K, h, w = self.A.shape
        shape = tuple(out.shape)
        if shape == (B, K, h, w):
            return lambda t: t
        if shape == (B, h, w, K):
            return lambda t: t.permute(0, 3, 1, 2)
        if len(shape) == 3 and shape[0] == B and shape[2] == K and h * w <= shape[1] < h * w + 17:
            return lambda t: t[:, t.shape[1] - h * w :].transpose(1, 2).reshape(B, K, h, w)
        return None


def cosine(a: Tensor, b: Tensor) -> float:
    """Of the maps (B, h, w), the least over the images; 1 where both are nothing."""
    a, b = a.double().flatten(1), b.double().flatten(1)
    sizes = a.norm(dim=1) * b.norm(dim=1)
    same = torch.where(sizes == 0, (a - b).norm(dim=1) == 0, (a * b).sum(1) / sizes)
    return float(same.min())


def truth(original: nn.Module, images: Tensor, index: Tensor, A: Tensor) -> Tensor:
    """Grad-CAM (B, h, w) before ReLU by autograd on the whole module.

    Args:
        original: as its library made it, in eval mode.
        images: (B, 3, H, W).
        index: (B,) the class.
        A: (B, K, h, w) the features whose gradient is meant.

    Raises:
        LookupError: nothing that the network computes is A.
    """
    for module in original.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
    original.requires_grad_(True)
    with torch.enable_grad(), _Finds(A) as finds:
        out = original(images.clone())
        out = out if isinstance(out, Tensor) else out["logits"]
        score = out.flatten(1).gather(1, index[:, None]).sum()
    if not finds.found:
        raise LookupError("nothing that the network computes is A")
    score.backward()
    tensor, turn = finds.found[0]  # what is made of it may hold the same, and part of its gradient
    g = turn(tensor.grad if tensor.grad is not None else torch.zeros_like(tensor))
    return (g.mean((2, 3), keepdim=True) * turn(tensor.detach())).sum(1)


def compare(name: str, module: nn.Module, shape: tuple[int, int, int]) -> Row:
    """One network, cut and compared.

    Args:
        name: for the row.
        module: in eval mode; it is not changed.
        shape: (C, H, W) of its images.
    """
    from torch import fx

    from camcli.cam.method_input import Evidence
    from camcli.cam.methods import METHODS, explain
    from camcli.models.cutting.cut import cut

    row = Row(name)
    original = copy.deepcopy(module)
    started = time.perf_counter()
    try:
        halves = cut(module.requires_grad_(False), shape)
        row.seconds = time.perf_counter() - started
        row.layer = halves.layer
        row.traced = any(isinstance(m, fx.GraphModule) for m in _modules(halves.first))
        images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(7))
        with torch.inference_mode():  # as a run does
            ((A, tail),) = halves.split(images)
            logits = tail(A)
            raw = original(images.clone())
            raw = raw if isinstance(raw, Tensor) else raw["logits"]
        row.shape = "x".join(map(str, A.shape[1:]))
        row.logits = float((logits - raw.flatten(1)).abs().max() / raw.std())
        index = logits.argmax(1)
        evidence = Evidence(A, logits, index, tail, halves.head)
        M = explain(METHODS["gradcam"], evidence)
        row.cosine = cosine(M, truth(original, images, index, A.clone()))
    except Exception as error:  # a row in the table, whatever it is
        row.error = f"{type(error).__name__}: {error}".split("\n")[0][:300]
    return row


def _modules(half: Any) -> list[nn.Module]:
    return list(half.modules()) if isinstance(half, nn.Module) else []


def stirred(module: nn.Module) -> nn.Module:
    """With weights and statistics as after training: nothing is zero, no two maps alike."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if (p.dim() < 2 and name.endswith("bias")) or not p.any():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.05)
            elif p.dim() < 2 and float(p.abs().max()) < 1e-3:  # layer scales
                p.fill_(0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return module.eval()


def torchvision_names() -> dict[str, list[str]]:
    """Classifiers by family, the smallest first."""
    from torchvision import models

    found: dict[str, list[str]] = {}
    for name in models.list_models(module=models):
        home = models.get_model_builder(name).__module__.rpartition(".")[2]
        found.setdefault(home, []).append(name)
    return found


def timm_names() -> dict[str, list[str]]:
    """The same; a family is one of timm's files."""
    import timm

    found: dict[str, list[str]] = {}
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if names:
            found[module] = names
    return found


def build(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network with 10 classes and random weights, and what it takes."""
    torch.manual_seed(0)
    if not name.startswith("timm:"):
        from torchvision import models

        options: dict[str, Any] = {"weights": None, "num_classes": 10}
        if name in ("googlenet", "inception_v3"):
            options |= {"aux_logits": False, "init_weights": False}
        size = 299 if name == "inception_v3" else 224
        return stirred(models.get_model(name, **options)), (3, size, size)
    import timm

    module = timm.create_model(name.removeprefix("timm:"), pretrained=False, num_classes=10)
    shape = tuple(module.pretrained_cfg.get("input_size", (3, 224, 224)))
    return stirred(module), shape  # type: ignore[return-value]


# What networks are called by size, the smallest first; a name may hold several.
_SIZES = (
    ("atto", "femto", "xxs", "pico", "nano", "micro", "_xs", "_n0", "_t0", "050", "x0_5"),
    ("tiny", "mini", "128s", "_b0", "_s0", "_s1", "_m1", "r18", "resnet18", "t18", "14d"),
    ("small", "_s", "121", "13", "26", "_b1"),
    ("medium", "base", "_b", "50", "_m"),
    ("large", "_l", "101", "152", "384", "448", "512"),
    ("giant", "gigantic", "huge", "xlarge", "enormous", "so400m", "_h", "_g", "_b7", "_b8"),
)


def _size(name: str) -> tuple[int, int]:
    """A guess at how large a network is, by its name: some libraries' cannot be built to see."""
    if "test_" in name:  # too small to be like any other
        return len(_SIZES), 0
    large = [n for n, words in enumerate(_SIZES) if any(word in name for word in words)]
    return max(large) if large and max(large) > 2 else min(large, default=2), len(name)


def wanted(asked: list[str]) -> list[str]:
    """Full names: of each family asked for the smallest network."""
    families = {f"torchvision:{k}": v for k, v in torchvision_names().items()}
    families |= {f"timm:{k}": [f"timm:{n}" for n in v] for k, v in timm_names().items()}
    full = {n for names in families.values() for n in names}
    found = []
    for what in asked or ["torchvision", "timm"]:
        if what in full and what not in families:
            found.append(what)
            continue
        chosen = [k for k in families if k == what or k.startswith(f"{what}:")]
        if not chosen:
            sys.exit(f"{what} is no library, family or network")
        found += [min(families[k], key=_size) for k in chosen]
    return list(dict.fromkeys(found))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="libraries, families, networks")
    parser.add_argument("--out", type=Path, help="a CSV for the rows")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    for name in wanted(options.names):
        try:
            row = compare(name, *build(name))
        except Exception as error:  # of the library
            row = Row(name, error=f"not built: {type(error).__name__}: {error}".split("\n")[0])
        rows.append(row)
        print(
            f"{'ok ' if row.same else 'NOT'} {row.name:42} {row.layer[:36]:36} {row.shape:14} "
            f"{'graph' if row.traced else 'hooks'} logits {row.logits:.1e} cosine "
            f"{row.cosine:.5f} {row.seconds:6.1f} s {row.error}",
            flush=True,
        )
        if options.out:
            fresh = not options.out.exists()
            with options.out.open("a", newline="") as file:
                writer = csv.DictWriter(file, list(asdict(row)))
                if fresh:
                    writer.writeheader()
                writer.writerow(asdict(row))
    print(f"{sum(row.same for row in rows)} of {len(rows)} are the same network, cosine >= {SAME}")


if __name__ == "__main__":
    main()
