"""Which runtime takes the backbone: one that is named, or the fastest that fits.

Only the way from images to A changes; the tail, the head and every method stay in torch. A runtime
is never trusted: on the first batch of each input shape its A is compared with torch's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from camcli.errors import CamcliError, UsageError
from camcli.models.classifier import Classifier
from camcli.models.runtime.protocol import Runtime, Wanted, flat
from camcli.models.runtime.registry import AUTO, ENTRIES, candidates, check_runtime
from camcli.printable import shortened

if TYPE_CHECKING:
    from camcli.models.runtime.int8 import Agreement

log = logging.getLogger(__name__)

# The largest difference of A from torch's, over the largest |A|. Float32 gives 1e-6 to 1e-5.
TOLERANCE = 1e-3
# In 16 bits single values are off by tenths while the map hardly changes. The least cosine of an
# image's A with torch's: 0.993 over 96 photographs for EfficientNet-Lite0, 0.9999 for ResNet-50.
# Int8 was compared on a sample before (`camcli.models.runtime.int8`), and a single image may be
# far off: 0.75 was the least of 100. Here only nonsense is caught.
COSINES = {"bfloat16": 0.98, "float16": 0.98, "int8": 0.5}
# So many images of a first batch are compared.
_COMPARED = 4


class Checked:
    """A runtime in the place of a backbone, compared with it on the first batch of each shape.

    Attributes:
        name: of the runtime that is in use; ``torch`` after a disagreement.
        precision: what it computes in.
        eager: torch's own backbone, in float32.
        difference: the largest yet from torch in float32, None before a batch and after a
            disagreement: of A over the largest |A|, and in other precisions one minus the cosine
            of an image's A.
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
        say: Callable[[str], None] = log.info,
    ) -> None:
        """`strict` raises where the runtime fails or disagrees; otherwise torch takes over."""
        self.name, self.precision = name, precision
        self.difference: float | None = None
        self.agreement: Agreement | None = None
        self._run, self.eager = run, eager
        self._strict, self._warn, self._say = strict, warn, say
        self._lock = threading.Lock()
        self._seen: set[torch.Size] = set()

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        if self._run is self.eager or images.shape[1:] in self._seen:
            return self._run(images)
        with self._lock:
            return self._first(images)

    def _first(self, images: Tensor) -> Any:
        """Compare, unless another thread just did.

        Raises:
            CamcliError: the runtime disagrees or fails, and was asked for by name.
        """
        if self._run is self.eager or images.shape[1:] in self._seen:
            return self._run(images)
        expected = self.eager(images[:_COMPARED])
        try:
            out = self._run(images)
            measure, limit = (
                (_difference, TOLERANCE)
                if self.precision == "float32"
                else (_turned, 1 - COSINES[self.precision])
            )
            off = max(
                measure(a[: len(b)], b) for a, b in zip(flat(out), flat(expected), strict=True)
            )
            # NaN is no agreement either.
            problem = None if off <= limit else f"differs from torch by {off:.1g}"
        except torch.OutOfMemoryError:
            raise  # a smaller batch will do
        except Exception as error:  # anything a foreign runtime may meet in a foreign network
            log.debug("%s failed", self.name, exc_info=True)
            problem = f"cannot run it ({_reason(error)})"
        if problem is None:
            if self.difference is None:
                self._say(f"{self.name} in {self.precision}: {self._near(off)}.")
            self.difference = max(off, self.difference or 0.0)
            self._seen.add(images.shape[1:])
            return out
        if self._strict:
            raise CamcliError(
                f"{self.name} in {self.precision} {problem} on this network. "
                + ("Leave --precision out." if self.name == "torch" else "Use --runtime torch.")
            )
        self._warn(f"{self.name} {problem} on this network; torch runs it instead.")
        self.name, self.difference, self._run = "torch", None, self.eager
        return self.eager(images)

    def _near(self, off: float) -> str:
        first = "on the first images the features"
        if self.precision == "float32":
            return f"{first} are torch's within {off:.1g} of the largest"
        return f"{first} have a cosine of {1 - off:.4f} or more with those of torch in float32"


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
        name: one of `registry.RUNTIMES`: ``torch``; ``openvino``; ``compile``, torch.compile, on
            CUDA GPUs and on CPUs beside a C++ compiler; or ``auto``: OpenVINO where it is
            installed, can take this network on this device and pays for its second of conversion,
            else torch.
        precision: ``float32``; or ``bfloat16``, on GPUs, and for OpenVINO on processors that
            compute it: about twice as fast, with maps that look the same and probabilities that
            are off by up to some hundredths; or ``float16``, on GPUs; or ``int8``, for OpenVINO
            with NNCF: two to four times as fast, calibrated on a sample of `images` and compared
            on it (`camcli.models.runtime.int8`).
        images: the references of what will be looked at. Only counted, and only up to
            `Runtime.worth`, unless int8 needs a sample of them.
        passes: how often each of them goes through the network, about, in one form or another.
        say: takes the sentences that say how near the runtime, and int8, come to torch.
        warn: takes the sentence that says why torch runs what another runtime should have.

    Returns:
        The classifier; what it returns is compared with torch as it runs (`Checked`).

    Raises:
        UsageError: an unknown name, a runtime or a precision on what cannot take it, or too few
            images for int8.
        UnavailableError: `openvino`, for int8 `nncf`, or what torch.compile needs is not installed.
        CamcliError: the network cannot be converted or compiled, or int8 differs too much from
            float32 on the sample.

    Example:
        >>> from camcli.models.classifier import load_classifier
        >>> fast = with_runtime(load_classifier(), "openvino")  # doctest: +SKIP
    """
    check_runtime(name, precision)
    backbone = _backbone(classifier)
    if own := own_runtime(classifier):
        _check_own(classifier, own, name, precision)
        return classifier
    strict = name != AUTO or precision != "float32"
    runtimes = [entry.load() for entry in candidates(name)]
    wanted = Wanted(classifier, backbone, precision, images if images is not None else (), say)
    if isinstance(backbone, Checked):
        refused = [each.refuses(wanted.device, precision) for each in runtimes]
        if problem := next(filter(None, refused), None) if all(refused) else None:
            raise problem
        return classifier
    runtime = _first(runtimes, wanted)
    if not strict and images is not None and runtime.worth and _few(images, passes, runtime.worth):
        return classifier
    try:
        made = runtime.make(wanted)
    except CamcliError:
        raise
    except Exception as error:  # a converter meets whatever users put into their networks
        log.debug("conversion failed", exc_info=True)
        reason = _reason(error)
        if strict:
            raise CamcliError(
                f"{runtime.name} cannot convert {classifier.provenance.name}: {reason} "
                "Use --runtime torch."
            ) from error
        warn(f"{runtime.name} cannot convert {classifier.provenance.name}; torch runs it instead.")
        return classifier
    if made.run is backbone:
        return classifier
    checked = Checked(
        runtime.name, made.run, backbone, precision=precision, strict=strict, warn=warn,
        say=log.info if made.agree else say,  # the whole sample says more
    )  # fmt: skip
    fast = _with_backbone(classifier, checked)
    if made.agree:
        checked.agreement = made.agree(fast)
        say(f"{precision}: {checked.agreement}.")
    return fast


def own_runtime(classifier: Classifier) -> str | None:
    """The runtime that a network's file is for, and that alone runs it; None for torch's own."""
    return getattr(_backbone(classifier), "own_runtime", None)


def _check_own(classifier: Classifier, own: str, name: str, precision: str) -> None:
    """Refuse another runtime or precision for a network that is no torch code.

    Raises:
        UsageError: it was asked for.
    """
    network = classifier.provenance.name
    if name not in (AUTO, own):
        raise UsageError(
            f"--runtime {name}: {network} is a graph that {own} runs, and no code for torch: leave "
            "--runtime out."
        )
    if precision != "float32":
        raise UsageError(
            f"--precision {precision}: {network} is run as its graph is written, in float32, and "
            "in eight bits where it was quantised: leave --precision out."
        )


def _first(runtimes: Sequence[Runtime], wanted: Wanted) -> Runtime:
    """The first of several runtimes that can run a network.

    Raises:
        CamcliError: none can; what keeps the best one from it.
    """
    problems = []
    for runtime in runtimes:
        problem = runtime.refuses(wanted.device, wanted.precision) or runtime.why_not(wanted)
        if problem is None:
            return runtime
        problems.append(problem)
    raise problems[0]


def _with_backbone(classifier: Classifier, backbone: Checked) -> Classifier:
    if classifier.cut is None:
        return replace(classifier, features=backbone)
    cut = replace(classifier.cut, first=backbone)
    return replace(classifier, features=cut.features, cut=cut)


def runtime_of(classifier: Classifier) -> dict[str, Any]:
    """What runs the backbone, for ``run.json``: name, version, difference from torch."""
    backbone = _backbone(classifier)
    torch_is = {"name": "torch", "version": torch.__version__}
    if own := own_runtime(classifier):
        return {"name": own, "version": ENTRIES[own].load().version()}
    if not isinstance(backbone, Checked):
        return torch_is
    if backbone.name == "torch":
        off = backbone.difference
        return torch_is if off is None else torch_is | {"difference": off}
    about = {
        "name": backbone.name,
        "version": ENTRIES[backbone.name].load().version(),
        "difference": backbone.difference,
    }
    agreement = backbone.agreement
    return about if agreement is None else about | {"agreement": asdict(agreement)}


def precision_of(classifier: Classifier) -> str:
    """What the backbone computes in: it decides the rows, which the runtime does not."""
    backbone = _backbone(classifier)
    return backbone.precision if isinstance(backbone, Checked) else "float32"


def _reason(error: BaseException) -> str:
    """What a runtime says is wrong, in its last line."""
    lines = str(error).strip().splitlines()
    return shortened(lines[-1] if lines else repr(error))


def _few(images: Iterable[object], passes: int, worth: int) -> bool:
    return passes * sum(1 for _ in islice(images, worth)) < worth


def _backbone(classifier: Classifier) -> Callable[[Tensor], Any]:
    return classifier.features if classifier.cut is None else classifier.cut.first


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
