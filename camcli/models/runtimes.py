"""What runs the backbone: torch itself, or OpenVINO, which is faster on CPUs.

Only the way from images to A changes; the tail, the head and every method stay in torch. A runtime
is never trusted: on the first batch of each input shape its A is compared with torch's.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models import int8
from camcli.models.classifier import Classifier
from camcli.models.int8 import Agreement
from camcli.models.on_openvino import OpenVino, convert

log = logging.getLogger(__name__)

RUNTIMES = ("auto", "torch", "openvino")
PRECISIONS = ("float32", "bfloat16", "int8")
# The largest difference of A from torch's, over the largest |A|. Float32 gives 1e-6 to 1e-5.
TOLERANCE = 1e-3
# In bfloat16 single values are off by tenths while the map hardly changes. The least cosine of an
# image's A with torch's: 0.993 over 96 photographs for EfficientNet-Lite0, 0.9999 for ResNet-50.
# Int8 was compared on a sample before (`camcli.models.int8`), and a single image may be far off:
# 0.75 was the least of 100. Here only nonsense is caught.
COSINES = {"bfloat16": 0.98, "int8": 0.5}
# Fewer images than this, masked ones included, are done before another runtime has been converted
# and has paid for it.
WORTH_IT = 200
# So many images of a first batch are compared.
_COMPARED = 4


class Checked:
    """A runtime in the place of a backbone, compared with it on the first batch of each shape.

    Attributes:
        name: of the runtime that is in use; ``torch`` after a disagreement.
        precision: what it computes in.
        eager: torch's own backbone.
        difference: the largest yet from torch, None before a batch: of A over the largest |A|, and
            in bfloat16 and int8 one minus the cosine of an image's A.
        agreement: of int8 with torch on the sample that it was calibrated on.
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
        self.agreement: Agreement | None = None
        self._run, self.eager = run, eager
        self._strict, self._warn = strict, warn
        self._lock = threading.Lock()
        self._seen: set[torch.Size] = set()

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        if self.name == "torch":
            return self.eager(images)
        if images.shape[1:] in self._seen:
            return self._run(images)
        with self._lock:
            return self._first(images)

    def _first(self, images: Tensor) -> Any:
        """Compare, unless another thread just did.

        Raises:
            CamcliError: the runtime disagrees or fails, and was asked for by name.
        """
        expected = self.eager(images[:_COMPARED])
        try:
            out = self._run(images)
            measure, limit = (
                (_difference, TOLERANCE)
                if self.precision == "float32"
                else (_turned, 1 - COSINES[self.precision])
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
        return self.eager(images)


def with_runtime(
    classifier: Classifier,
    name: str = "auto",
    *,
    precision: str = "float32",
    images: Iterable[Any] | None = None,
    passes: int = 1,
    warn: Callable[[str], None] = log.warning,
    say: Callable[[str], None] = log.info,
) -> Classifier:
    """The same classifier with its backbone in another runtime.

    Args:
        classifier: as loaded; one that has a runtime already is returned as it is.
        name: ``torch``; ``openvino``; or ``auto``: OpenVINO where it is installed, can take this
            network on this device and pays for its second of conversion, else torch.
        precision: ``float32``; or ``bfloat16``, for OpenVINO on processors that compute it: about
            twice as fast, with maps that look the same and probabilities that are off by up to
            some hundredths; or ``int8``, for OpenVINO with NNCF: two to four times as fast,
            calibrated on a sample of `images` and compared on it (`camcli.models.int8`).
        images: the references of what will be looked at. Only counted, and only up to `WORTH_IT`,
            unless int8 needs a sample of them.
        passes: how often each of them goes through the network, about, in one form or another.
        say: takes the sentence that says how near int8 came.
        warn: takes the sentence that says why torch runs what another runtime should have.

    Returns:
        The classifier; what it returns is compared with torch as it runs (`Checked`).

    Raises:
        UsageError: an unknown name, OpenVINO or bfloat16 on what cannot take it, or too few images
            for int8.
        UnavailableError: `openvino`, or for int8 `nncf`, is not installed.
        CamcliError: int8 differs too much from float32 on the sample.

    Example:
        >>> from camcli.models.classifier import load_classifier
        >>> fast = with_runtime(load_classifier(), "openvino")  # doctest: +SKIP
    """
    if name not in RUNTIMES:
        raise UsageError(f"Unknown runtime {name!r}. Choose one of {', '.join(RUNTIMES)}.")
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision {precision!r}. Choose one of {', '.join(PRECISIONS)}.")
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
    if why_not or (not strict and images is not None and _few(images, passes)):
        return classifier
    assert isinstance(backbone, nn.Module)
    pixels = int8.sample(images or (), classifier.preprocess) if precision == "int8" else []
    try:
        size = classifier.preprocess.size
        converted = convert(backbone, size)
        if pixels:
            converted = int8.quantised(converted, classifier, backbone, pixels)
        run = OpenVino(converted, size, precision)
    except CamcliError:
        raise
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
    fast = _with_backbone(classifier, checked)
    if pixels:
        checked.agreement = int8.agreement(classifier, fast, pixels)
        int8.check(checked.agreement, classifier.provenance.name)
        say(f"int8: {checked.agreement}.")
    return fast


def _with_backbone(classifier: Classifier, backbone: Checked) -> Classifier:
    if classifier.cut is None:
        return replace(classifier, features=backbone)
    cut = replace(classifier.cut, first=backbone)
    return replace(classifier, features=cut.features, cut=cut)


def runtime_of(classifier: Classifier) -> dict[str, Any]:
    """What runs the backbone, for ``run.json``: name, version, difference from torch."""
    backbone = _backbone(classifier)
    if not isinstance(backbone, Checked) or backbone.name == "torch":
        return {"name": "torch", "version": torch.__version__}
    about = {
        "name": backbone.name,
        "version": version(backbone.name),
        "difference": backbone.difference,
    }
    agreement = backbone.agreement
    return about if agreement is None else about | {"agreement": asdict(agreement)}


def precision_of(classifier: Classifier) -> str:
    """What the backbone computes in: it decides the rows, which the runtime does not."""
    backbone = _backbone(classifier)
    return backbone.precision if isinstance(backbone, Checked) else "float32"


def _few(images: Iterable[object], passes: int) -> bool:
    return passes * sum(1 for _ in islice(images, WORTH_IT)) < WORTH_IT


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
