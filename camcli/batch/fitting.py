"""How many images go through the network at a time: found on the way, halved where memory ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from camcli.batch.explain import Decoded, Explanation, explain_batch
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.result import Result

log = logging.getLogger(__name__)

# On a CPU more than this gains nothing. A GPU starts with it and goes up to `LARGEST` while that
# makes images at least `WORTH` times as fast; decoded photographs wait for it, so not further.
START, LARGEST, WORTH = 16, 128, 1.1
# Passes of a size until it is judged; the first ones of a process warm up.
_TRIALS = 3


class Fitting:
    """Explains batches, and knows how large the next one should be; used by several threads.

    Attributes:
        size: images that a batch should have.
    """

    def __init__(
        self,
        size: int | None = None,
        *,
        grow: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start.

        Args:
            size: images in a batch, by the user's wish; None to find it.
            grow: try larger batches than `START`, while nobody wished for a size.
            clock: seconds.
        """
        self.size = size or START
        self._growing = grow and size is None
        self._clock = clock
        self._rates: dict[int, list[float]] = {}
        self._most: int | None = None  # of the images that fit into memory
        self._lock = threading.Lock()

    def explain(
        self, classifier: Classifier, images: Sequence[Decoded], what: Explanation
    ) -> list[Result]:
        """What `explain_batch` returns, in as many passes as memory makes necessary.

        Raises:
            CamcliError: not even one image fits.
        """
        results: list[Result] = []
        while len(results) < len(images):
            most = self._most or len(images)
            part = images[len(results) : len(results) + most]
            start = self._clock()
            try:
                results += explain_batch(classifier, part, _at_most(what, self._most))
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            else:
                self._took(len(part), self._clock() - start)
                continue
            # Here, because the exception holds on to all tensors of the pass that failed.
            self._halve(len(part), classifier.device)
        return results

    def _halve(self, images: int, device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if images == 1:
            raise CamcliError(
                f"The memory of {device} does not hold one image's pass: choose a smaller "
                "--input-size, a method with fewer passes, or --device cpu."
            )
        with self._lock:
            self._growing = False
            half = images // 2
            if self._most is None or half < self._most:
                self._most = half
                self.size = min(self.size, half)
                log.warning(
                    "%d images at a time do not fit into the memory of %s; %d are tried.",
                    images, device, half,
                )  # fmt: skip

    def _took(self, images: int, seconds: float) -> None:
        """Double the size while it pays, and take the last step back when it did not."""
        with self._lock:
            if not self._growing or images != self.size:
                return
            rates = self._rates.setdefault(images, [])
            rates.append(images / max(seconds, 1e-9))
            if len(rates) < _TRIALS:
                return
            before = self._rates.get(images // 2)
            if before and max(rates) < WORTH * max(before):
                self._growing, self.size = False, images // 2
            elif 2 * images > LARGEST:
                self._growing = False
            else:
                self.size = 2 * images


def out_of_memory(error: BaseException) -> bool:
    """Whether this is what torch raises when an allocation fails, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return "out of memory" in text or "DefaultCPUAllocator" in text


def _at_most(what: Explanation, images: int | None) -> Explanation:
    """Passes of a method's own are no larger either."""
    if images is None or images >= what.how.effort.chunk:
        return what
    return replace(what, how=replace(what.how, effort=replace(what.how.effort, chunk=images)))
