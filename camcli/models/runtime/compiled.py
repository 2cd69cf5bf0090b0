"""A backbone through torch.compile, for CUDA GPUs, and for CPUs beside a C++ compiler.

torch compiles anew for whatever it has not met: another number of images or threads, or a tensor
from outside inference mode. That takes seconds to minutes, and threads that meet there make it give
up. So all of it happens once, before the first image, and nothing that it would notice changes:

- on a CPU a fixed number of images goes through at a time, in lanes of one thread, and the weights
  are part of what is compiled;
- on a GPU any number from two on does;
- inputs of another size than the network's own run in torch as it is.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.runtime.eager import InTorch, in_precision
from camcli.models.runtime.openvino import one_thread
from camcli.models.runtime.protocol import Made, Wanted, flat
from camcli.printable import shortened

log = logging.getLogger(__name__)

# Images that go through the network at a time on a CPU; 2 to 16 were equally fast.
SLICE = 8

# Torch wants an upper bound of the images in a batch, and takes none with which an activation has
# more numbers than fit into 32 bits. VGG's first has 64 of them for each pixel; few have more.
_NUMBERS, _CHANNELS = 2**31 - 1, 64


def has_compiler() -> bool:
    """Whether torch finds a C++ compiler that starts."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except RuntimeError:
        return False
    return True


class Compiled:
    """A compiled backbone; called by several threads."""

    def __init__(
        self,
        run: Callable[[Tensor], Any],
        shape: tuple[int, int, int],
        device: torch.device,
        slices: bool,
    ) -> None:
        """Compile it, which takes seconds on a CPU and may take minutes on a GPU.

        Args:
            run: normalised images (B, 3, H, W) -> A, or tuples of tensors: the backbone, or the
                backbone in 16 bits.
            shape: (channels, height, width) of the input.
            device: where the backbone lives.
            slices: let `SLICE` images through at a time, with one thread: for CPUs.

        Raises:
            CamcliError: it cannot be compiled.
        """
        self._run, self._size, self._slices = run, shape[1:], slices
        self._most = max(2, _NUMBERS // (_CHANNELS * shape[1] * shape[2]))
        self._compiled = torch.compile(run, fullgraph=True)
        # It warns where a GPU's toolkit is installed but no GPU.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        with ExitStack() as during, torch.inference_mode():
            images = torch.zeros(SLICE if slices else min(16, self._most), *shape, device=device)
            if slices:
                during.enter_context(one_thread())
                # Not as `options`: half of torch asks the global setting. In this process, because
                # torch's compiling processes would stay until the end.
                during.enter_context(torch._inductor.config.patch(freezing=True, compile_threads=1))
            try:
                out = self._bounded(images)
            except Exception as error:  # compilers meet whatever users put into their networks
                log.debug("torch.compile failed", exc_info=True)
                raise CamcliError(
                    f"torch.compile failed: {_reason(error)} Use --runtime torch."
                ) from error
            # A value that is as long for two images has no row for each of them.
            self._per_image = [
                a.shape[:1] != b.shape[:1]
                for a, b in zip(flat(out), flat(run(images[:2])), strict=True)
            ]

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        if images.shape[2:] != self._size:
            return self._run(images)
        with torch.inference_mode():
            if not images.is_inference():
                images = images.clone()
            step = SLICE if self._slices else self._most
            least = SLICE if self._slices else 2
            parts = [
                self._pass(_filled(part, max(least, len(part)))) for part in images.split(step)
            ]
            return _joined(parts, iter(self._per_image), len(images))

    def _bounded(self, images: Tensor) -> Any:
        """The first pass; with an eighth of the images at most where so many are too many."""
        try:
            return self._pass(images)
        except Exception as error:
            if self._slices or "Constraints violated" not in str(error) or self._most < 32:
                raise
            log.debug("%d images at a time are too many for torch.compile", self._most)
            self._most //= 8
            torch._dynamo.reset()
            self._compiled = torch.compile(self._run, fullgraph=True)
            return self._pass(images[: self._most])

    def _pass(self, images: Tensor) -> Any:
        images = images.contiguous(memory_format=torch.channels_last)
        if not self._slices:
            torch._dynamo.mark_dynamic(images, 0, min=2, max=self._most)
        return self._compiled(images)


def _filled(images: Tensor, count: int) -> Tensor:
    """So many images: the last one is repeated."""
    rest = count - len(images)
    return torch.cat([images, images[-1:].expand(rest, -1, -1, -1)]) if rest else images


def _joined(parts: list[Any], per_image: Iterator[bool], images: int) -> Any:
    """One output for so many images from those of slices."""
    if not isinstance(parts[0], Tensor):
        return tuple(
            _joined(list(values), per_image, images) for values in zip(*parts, strict=True)
        )
    if not next(per_image):
        return parts[0]
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[:images]


def _reason(error: BaseException) -> str:
    """The line that says what is wrong, of a message that may have hundreds."""
    while error.__cause__ is not None:
        error = error.__cause__
    error = getattr(error, "inner_exception", error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return shortened(next((line for line in lines if "error:" in line), lines[0]))


class TorchCompile(InTorch):
    """torch.compile, for CUDA GPUs, and for CPUs beside a C++ compiler."""

    name = "compile"

    def why_not(self, wanted: Wanted) -> CamcliError | None:
        """As `Runtime.why_not`, as far as one can tell without trying."""
        device = wanted.device
        if device not in {"cpu", "cuda"}:
            return UsageError(
                "torch.compile is for CPUs and CUDA GPUs here, not for "
                f"{wanted.classifier.device}: use --runtime torch."
            )
        if not isinstance(wanted.backbone, nn.Module):
            return UsageError(
                f"torch.compile cannot take {wanted.classifier.provenance.name}: its graph cannot "
                "be traced. Use --runtime torch."
            )
        if device == "cuda" and importlib.util.find_spec("triton") is None:
            return UnavailableError(
                "torch.compile needs Triton on a GPU: `pip install triton` brings it, or use "
                "--runtime torch."
            )
        if device == "cpu" and not has_compiler():
            return UnavailableError(
                "torch.compile needs a C++ compiler on a CPU, and none was found: install g++ or "
                "clang and name it in CXX, or use --runtime openvino or torch."
            )
        return None

    def make(self, wanted: Wanted) -> Made:
        """As `Runtime.make`; takes seconds on a CPU and may take minutes on a GPU."""
        classifier = wanted.classifier
        return Made(
            Compiled(
                in_precision(wanted), classifier.preprocess.shape, classifier.device,
                slices=wanted.device == "cpu",
            )
        )  # fmt: skip


COMPILE = TorchCompile()
