"""What runs the backbone: torch itself, or OpenVINO, which is faster on CPUs.

Only the way from images to A changes; the tail, the head and every method stay in torch. A runtime
is never trusted: on the first batch of each input shape its A is compared with torch's.

OpenVINO, as it is used here:

- in float32, unless asked. By default it computes in bfloat16 where the processor can, and A is
  off by 20%.
- in the thread that calls it, with no threads of its own: the engine has a lane for each core, and
  whatever else spins or waits takes time from decoding.
- any batch size and any image size from one compiled network.
- without its telemetry, which is on by default and belongs to its converter's command line: the
  front end is called directly, below that.
- converted anew in each process. This takes about a second, less than importing torch, so a cache
  on disk would save nothing worth its files.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.classifier import Classifier

log = logging.getLogger(__name__)

RUNTIMES = ("auto", "torch", "openvino")
PRECISIONS = ("float32", "bfloat16")
# The largest difference of A from torch's, over the largest |A|. Float32 gives 1e-6 to 1e-5.
TOLERANCE = 1e-3
# In bfloat16 single values are off by tenths while the map hardly changes. The least cosine of an
# image's A with torch's: 0.993 over 96 photographs for EfficientNet-Lite0, 0.9999 for ResNet-50.
COSINE = 0.98
# Fewer images than this are done before another runtime has been converted and has paid for it.
WORTH_IT = 200
# So many images of a first batch are compared.
_COMPARED = 4


class Checked:
    """A runtime in the place of a backbone, compared with it on the first batch of each shape.

    Attributes:
        name: of the runtime that is in use; ``torch`` after a disagreement.
        precision: what it computes in.
        difference: the largest yet from torch, None before a batch: of A over the largest |A|, and
            in bfloat16 one minus the cosine of an image's A.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Tensor], Any],
        eager: Callable[[Tensor], Any],
        *,
        precision: str,
        strict: bool,
        warn: Callable[[str], None],
    ) -> None:
        """`strict` raises where the runtime fails or disagrees; otherwise torch takes over."""
        self.name, self.precision = name, precision
        self.difference: float | None = None
        self._run, self._eager = run, eager
        self._strict, self._warn = strict, warn
        self._lock = threading.Lock()
        self._seen: set[torch.Size] = set()

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        if self.name == "torch":
            return self._eager(images)
        if images.shape[1:] in self._seen:
            return self._run(images)
        with self._lock:
            return self._first(images)

    def _first(self, images: Tensor) -> Any:
        """Compare, unless another thread just did.

        Raises:
            CamcliError: the runtime disagrees or fails, and was asked for by name.
        """
        expected = self._eager(images[:_COMPARED])
        try:
            out = self._run(images)
            measure, limit = (
                (_difference, TOLERANCE) if self.precision == "float32" else (_turned, 1 - COSINE)
            )
            off = max(
                measure(a[: len(b)], b) for a, b in zip(_flat(out), _flat(expected), strict=True)
            )
            # NaN is no agreement either.
            problem = None if off <= limit else f"differs from torch by {off:.1g}"
        except Exception as error:  # anything a foreign runtime may meet in a foreign network
            log.debug("%s failed", self.name, exc_info=True)
            problem = f"cannot run it ({str(error).strip().splitlines()[-1][:200]})"
        if problem is None:
            self.difference = max(off, self.difference or 0.0)
            self._seen.add(images.shape[1:])
            return out
        if self._strict:
            raise CamcliError(
                f"{self.name} in {self.precision} {problem} on this network. Use --runtime torch."
            )
        self._warn(f"{self.name} {problem} on this network; torch runs it instead.")
        self.name = "torch"
        return self._eager(images)


def with_runtime(
    classifier: Classifier,
    name: str = "auto",
    *,
    precision: str = "float32",
    images: Iterable[object] | None = None,
    warn: Callable[[str], None] = log.warning,
) -> Classifier:
    """The same classifier with its backbone in another runtime.

    Args:
        classifier: as loaded; one that has a runtime already is returned as it is.
        name: ``torch``; ``openvino``; or ``auto``: OpenVINO where it is installed, can take this
            network on this device and pays for its second of conversion, else torch.
        precision: ``float32``; or ``bfloat16``, for OpenVINO on processors that compute it: about
            twice as fast, with maps that look the same and probabilities that are off by up to
            some hundredths.
        images: what will be looked at; only counted, and only up to `WORTH_IT`.
        warn: takes the sentence that says why torch runs what another runtime should have.

    Returns:
        The classifier; what it returns is compared with torch as it runs (`Checked`).

    Raises:
        UsageError: an unknown name, or OpenVINO or bfloat16 on what cannot take it.
        UnavailableError: `openvino` is not installed.

    Example:
        >>> from camcli.models.classifier import load_classifier
        >>> fast = with_runtime(load_classifier(), "openvino")  # doctest: +SKIP
    """
    if name not in RUNTIMES:
        raise UsageError(f"Unknown runtime {name!r}. Choose one of {', '.join(RUNTIMES)}.")
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision {precision!r}. Choose {' or '.join(PRECISIONS)}.")
    if name == "torch" and precision != "float32":
        raise UsageError(f"{precision} needs --runtime openvino; torch computes in float32 here.")
    backbone = _backbone(classifier)
    if name == "torch" or isinstance(backbone, Checked):
        return classifier
    # Other numbers than float32's must not depend on how many images there are, say.
    strict = name == "openvino" or precision != "float32"
    why_not = _why_not(classifier, backbone, precision)
    if why_not and strict:
        raise why_not
    if why_not or (not strict and images is not None and _few(images)):
        return classifier
    assert isinstance(backbone, nn.Module)
    try:
        run = OpenVino(backbone, classifier.preprocess.size, precision)
    except Exception as error:  # a converter meets whatever users put into their networks
        log.debug("conversion failed", exc_info=True)
        reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else repr(error)
        if strict:
            raise CamcliError(
                f"openvino cannot convert {classifier.provenance.name}: {reason} "
                "Use --runtime torch."
            ) from error
        warn(f"openvino cannot convert {classifier.provenance.name}; torch runs it instead.")
        return classifier
    checked = Checked("openvino", run, backbone, precision=precision, strict=strict, warn=warn)
    if classifier.cut is None:
        return replace(classifier, features=checked)
    cut = replace(classifier.cut, first=checked)
    return replace(classifier, features=cut.features, cut=cut)


def runtime_of(classifier: Classifier) -> dict[str, Any]:
    """What runs the backbone, for ``run.json``: name, version, difference from torch."""
    backbone = _backbone(classifier)
    if not isinstance(backbone, Checked) or backbone.name == "torch":
        return {"name": "torch", "version": torch.__version__}
    return {
        "name": backbone.name,
        "version": version(backbone.name),
        "difference": backbone.difference,
    }


def precision_of(classifier: Classifier) -> str:
    """What the backbone computes in: it decides the rows, which the runtime does not."""
    backbone = _backbone(classifier)
    return backbone.precision if isinstance(backbone, Checked) else "float32"


def _few(images: Iterable[object]) -> bool:
    return sum(1 for _ in islice(images, WORTH_IT)) < WORTH_IT


def _backbone(classifier: Classifier) -> Callable[[Tensor], Any]:
    return classifier.features if classifier.cut is None else classifier.cut.first


def _why_not(classifier: Classifier, backbone: object, precision: str) -> CamcliError | None:
    """What keeps OpenVINO from running this classifier."""
    if importlib.util.find_spec("openvino") is None:
        return UnavailableError(
            "OpenVINO is not installed: `pip install openvino` brings it, or use --runtime torch."
        )
    if classifier.device.type != "cpu":
        return UsageError(
            f"OpenVINO runs on the CPU here, not on {classifier.device}: add --device cpu, or use "
            "--runtime torch."
        )
    if not isinstance(backbone, nn.Module):
        return UsageError(
            f"OpenVINO cannot take {classifier.provenance.name}: its graph cannot be traced. Use "
            "--runtime torch."
        )
    if precision == "bfloat16":
        import openvino as ov

        if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            return UsageError("This processor does not compute in bfloat16: leave --precision out.")
    return None


class OpenVino:
    """A backbone, converted and compiled by OpenVINO for the CPU; called by several threads."""

    def __init__(self, backbone: nn.Module, size: int, precision: str) -> None:
        """Convert `backbone`, which is left alone.

        Args:
            backbone: normalised images (B, 3, H, W) -> A, or tuples of tensors.
            size: side of a square input, in pixels.
            precision: one of `PRECISIONS`.
        """
        import openvino as ov

        example = torch.zeros(2, 3, size, size).contiguous(memory_format=torch.channels_last)
        with _one_thread(), torch.no_grad():
            out = backbone(example)
            model = _convert(backbone, example)
        # How to put flat outputs back into tuples; None for a single one.
        self._rows = None if isinstance(out, Tensor) else [len(row) for row in out]
        # Photographs come channels last; without this each batch would be copied.
        prepost = ov.preprocess.PrePostProcessor(model)
        prepost.input().tensor().set_layout(ov.Layout("NHWC"))
        prepost.input().model().set_layout(ov.Layout("NCHW"))
        self._compiled = ov.Core().compile_model(
            prepost.build(),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
                "NUM_STREAMS": 0,  # in the calling thread
                "INFERENCE_NUM_THREADS": 1,
            },
        )
        self._own = threading.local()

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        batch = images.permute(0, 2, 3, 1).contiguous().numpy()
        # Copies: the request writes its next outputs where these are.
        self._own.request.infer([batch], share_inputs=True)
        flat = iter([torch.from_numpy(t.data.copy()) for t in self._own.request.output_tensors])
        if self._rows is None:
            return next(flat)
        return tuple(tuple(next(flat) for _ in range(n)) for n in self._rows)


def _convert(module: nn.Module, example: Tensor) -> Any:
    """An OpenVINO model of a module, for any batch and image size."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import (
        TorchScriptPythonDecoder,
    )

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated; OpenVINO still asks for it
        # What torch's own check would find, in twice the time, `Checked` finds on real images.
        decoder = TorchScriptPythonDecoder(
            module, example_input=(example,), trace_kwargs={"check_trace": False}
        )
    return frontend.convert(frontend.load(decoder))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread inside torch: on busy cores two that wait for each other are much slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _flat(out: Any) -> list[Tensor]:
    return [out] if isinstance(out, Tensor) else [tensor for row in out for tensor in row]


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest difference over the largest value; infinite for another shape or type."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-12))


def _turned(a: Tensor, b: Tensor) -> float:
    """One minus the least cosine of an image's values; infinite for another shape."""
    if a.shape != b.shape:
        return float("inf")
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1))
    return float((1 - cosine).max())
