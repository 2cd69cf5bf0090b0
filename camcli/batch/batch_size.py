"""How many images go through the network at a time: found on the way, halved where memory ends.

And one at a time where the network fails on a batch: whatever it raises for one of the images is
that image's error, and the others are done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from camcli.batch.explain import Decoded, explain_batch, failed
from camcli.batch.explanation import Explanation
from camcli.errors import CamcliError, ImageError, of_image, out_of_memory, reason, stage
from camcli.models.classifier import Classifier
from camcli.result import Result

T = TypeVar("T")
R = TypeVar("R")

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
        """What `explain_batch` returns, in as many passes as are necessary.

        Returns:
            One Result an image, in order; an error for an image on which the network fails.

        Raises:
            CamcliError: not even one image fits, the device is lost, or another matter of every
                image.
        """
        results: list[Result] = []
        while len(results) < len(images):
            most = self._most or len(images)
            part = images[len(results) : len(results) + most]
            start = self._clock()
            try:
                with stage("network"):  # unless it was another
                    found = explain_batch(classifier, part, _at_most(what, self._most))
            except CamcliError:
                raise
            except Exception as error:
                # Or the exception would hold on to all tensors of the pass that failed.
                problem = error.with_traceback(None)
            else:
                self._took(len(part), self._clock() - start)
                results += self._confirmed(classifier, part, what, found)
                continue
            if out_of_memory(problem):
                self._halve(len(part), classifier.device)
            else:
                results += self._apart(classifier, part, what, problem)
        return results

    def _confirmed(
        self,
        classifier: Classifier,
        images: Sequence[Decoded],
        what: Explanation,
        results: list[Result],
    ) -> list[Result]:
        """An image with an error once more by itself: some networks mix the images of a batch."""
        if len(images) == 1:
            return results
        return [
            self.explain(classifier, [image], what)[0] if result.status == "error" else result
            for image, result in zip(images, results, strict=True)
        ]

    def _apart(
        self,
        classifier: Classifier,
        images: Sequence[Decoded],
        what: Explanation,
        error: Exception,
    ) -> list[Result]:
        """Halves of a batch on which the network failed, down to the images that it fails on."""
        check_alive(classifier.device, error)
        log.debug("The network failed on %d images: %r", len(images), error)
        if len(images) == 1:
            return [failed(images[0].ref, error)]
        half = len(images) // 2
        return [
            *self.explain(classifier, images[:half], what),
            *self.explain(classifier, images[half:], what),
        ]

    def _halve(self, images: int, device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if images == 1:
            raise CamcliError(no_room(device))
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


def by_halves(
    work: Callable[[Sequence[T]], Sequence[R | ImageError]],
    items: Sequence[T],
    device: torch.device,
    name: Callable[[T], str],
) -> list[R | ImageError]:
    """`work` on all items; where it fails, on halves of them, down to the items that it fails on.

    Args:
        work: takes some items and returns as many outcomes or errors. An exception, also an
            ImageError, says that one of them is guilty.
        items: of images.
        device: where it works.
        name: of an item, for the message.

    Returns:
        An outcome, or an error, for each item, in order.

    Raises:
        CamcliError: what concerns every item; `device` is lost, or has no room for one item.
    """
    if not items:
        return []
    try:
        with stage("network"):  # unless it was another
            return list(work(items))
    except Exception as error:
        if isinstance(error, CamcliError) and not isinstance(error, ImageError):
            raise
        problem = error.with_traceback(None)  # which holds on to tensors
    if out_of_memory(problem):
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if len(items) == 1:
            raise CamcliError(no_room(device)) from problem
    else:
        check_alive(device, problem)
        if len(items) == 1:
            return [of_image(problem, name(items[0]))]
    half = len(items) // 2
    return [
        *by_halves(work, items[:half], device, name),
        *by_halves(work, items[half:], device, name),
    ]


def no_room(device: torch.device) -> str:
    """What to say where not even one image can be explained."""
    if device.type != "cpu":
        return (
            f"The memory of {device} does not hold one image's pass: choose a smaller "
            "--input-size, a method with fewer passes, or --device cpu."
        )
    return (
        "There is not enough memory for one image's pass: raise the limit on this process "
        "(ulimit -v, a container's, a job's) if there is one, or choose a smaller --input-size, "
        "a method with fewer passes, or fewer --workers."
    )


def check_alive(device: torch.device, error: Exception) -> None:
    """Tell a device that is lost from an image that it failed on.

    After most of its errors a GPU answers nothing any more in this process.

    Raises:
        CamcliError: the device does not add one and one.
    """
    if device.type == "cpu":
        return
    try:
        alive = torch.ones(1, device=device).add_(1).item() == 2
    except Exception:
        alive = False
    if not alive:
        raise CamcliError(
            f"{device} does not answer any more ({reason(error)}). What was finished is kept; run "
            "the same command with --resume."
        ) from error


def _at_most(what: Explanation, images: int | None) -> Explanation:
    """Passes of a method's own are no larger either."""
    if images is None or images >= what.how.effort.chunk:
        return what
    return what.with_effort(chunk=images)
