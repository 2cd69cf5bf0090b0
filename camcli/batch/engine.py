"""The engine: references in, Results out, in order, with decode, forward and encode overlapping.

Two kinds of work, each with threads of its own (`camcli.batch.lanes`):

- a pool decodes and, later, draws and writes overlays (both let go of the GIL);
- on a CPU one *lane* per core runs the network with one thread each. On a GPU there are two, each
  with a CUDA stream: one's copies and numbers overlap with the other's network.

At most a few batches are in flight, so memory does not depend on how many images there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np

from camcli.batch.batch_size import Fitting
from camcli.batch.explain import Decoded, Load, failed, read
from camcli.batch.explanation import Explanation
from camcli.batch.lanes import Lanes
from camcli.data.decode.images import load_picture
from camcli.data.decode.memory_budget import BUDGET
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, stage
from camcli.models.classifier import Classifier
from camcli.models.runtime.openvino import SLICE, available_cores
from camcli.models.runtime.policy import precision_of
from camcli.result import Result

# Bytes a pixel while a large photograph is decoded once more and drawn on.
_DRAWN = 9

# A result and the pixels that its picture will be drawn on.
Explained = tuple[Result, np.ndarray | None]


class Sink(Protocol):
    """Where pictures go while a stream runs."""

    def keep(self, rgb: np.ndarray) -> np.ndarray:
        """What to remember of decoded (H, W, 3) pixels until `write`; called in worker threads."""

    def claim(self, result: Result) -> Result:
        """Name the picture: called for each good result, in order, from one thread.

        A result that comes back without `overlay` gets no picture.

        Raises:
            Exception: this image cannot have a picture; it becomes an error row.
        """

    def write(self, result: Result, rgb: np.ndarray) -> None:
        """Draw and store the picture; called in worker threads.

        Raises:
            CamcliError: no picture can be stored any more; it ends the stream. Anything else is
                this image's error.
        """


def stream(
    refs: Iterable[ImageRef],
    classifier: Classifier,
    what: Explanation,
    *,
    sink: Sink | None = None,
    load: Load = load_picture,
    batch_size: int | None = None,
    workers: int | None = None,
    stop: threading.Event | None = None,
) -> Generator[Result]:
    """Explain any number of images.

    Args:
        refs: the images; read lazily.
        classifier: the network.
        what: method and target.
        sink: draws and stores the overlays.
        load: reads and decodes one image; called in worker threads.
        batch_size: images in one forward pass; by default 16 on a CPU, and on a GPU 16 to 128,
            whatever turns out to be fastest. Halved where memory does not suffice.
        workers: threads that decode and draw; by default one per core, at least 2.
        stop: once it is set, what has begun is finished and yielded, and nothing else is begun.

    Yields:
        One Result for each reference, in their order. What any stage raises for one image is that
        image's error.

    Raises:
        CamcliError: what concerns every image: a full disk, a GPU that is lost, too little memory
            for one image.
    """
    # Torch's other devices take one thread at a time.
    count = {"cpu": available_cores(), "cuda": 2}.get(classifier.device.type, 1)
    keep = sink.keep if sink else _forget
    drawing: deque[list[Future[Result]]] = deque()
    with Lanes(classifier.device, count, workers) as lanes:
        fitting = Fitting(batch_size, grow=not lanes.on_cpu)
        # Methods that run the network many times share those passes out, so that one image is
        # enough to keep all cores busy. Threads start when they get work.
        passes = ThreadPoolExecutor(count, thread_name_prefix="camcli-pass")
        shared = what.with_lanes(passes, count) if lanes.on_cpu else what

        def work(
            group: Sequence[ImageRef], outcomes: list[Decoded | ImageError]
        ) -> list[Explained]:
            images = [outcome for outcome in outcomes if isinstance(outcome, Decoded)]
            results = iter(fitting.explain(classifier, images, shared))
            return [
                (next(results), outcome.rgb)
                if isinstance(outcome, Decoded)
                else (failed(ref, outcome), None)
                for ref, outcome in zip(group, outcomes, strict=True)
            ]

        batches = _batches(iter(refs), fitting, count, SLICE.get(precision_of(classifier), 2))
        try:
            for explained in lanes.run(
                batches, lambda ref: read(ref, classifier, keep, load), work, stop
            ):
                drawing.append([_draw(lanes.pool, sink, load, *one) for one in explained])
                del explained  # and the pixels with it, while the next ones are awaited
                if len(drawing) > count:
                    for future in drawing.popleft():
                        yield future.result()
            while drawing:
                for future in drawing.popleft():
                    yield future.result()
        finally:  # first, as lanes wait for it
            passes.shutdown(wait=True, cancel_futures=True)


def _draw(
    pool: ThreadPoolExecutor,
    sink: Sink | None,
    load: Load,
    result: Result,
    rgb: np.ndarray | None,
) -> Future[Result]:
    """Name a picture now, in order, and draw it in the pool."""
    done: Future[Result] = Future()
    if sink is None or result.status == "error":
        done.set_result(result)
        return done
    try:
        with stage("name"):
            result = sink.claim(result)
    except Exception as error:
        result = failed(result.ref, error)
    if result.overlay is not None:
        return pool.submit(_write, sink, load, result, rgb)
    done.set_result(result)
    return done


def _write(sink: Sink, load: Load, result: Result, rgb: np.ndarray | None) -> Result:
    try:
        if rgb is not None:
            with stage("draw"):
                sink.write(result, rgb)
            return result
        with BUDGET.held((result.width or 0) * (result.height or 0) * _DRAWN):
            with stage("decode"):  # which fails where the file changed since it was decoded
                rgb = sink.keep(load(result.ref).rgb)
            with stage("draw"):
                sink.write(result, rgb)
            del rgb
    except Exception as error:
        return failed(result.ref, error)
    return result


def _forget(rgb: np.ndarray) -> np.ndarray:
    return rgb[:0]


def _batches(
    refs: Iterator[ImageRef], fitting: Fitting, lanes: int, least: int
) -> Iterator[list[ImageRef]]:
    """Full ones, and at the end smaller and smaller ones: all lanes finish at about one time.

    Guided self-scheduling (Polychronopoulos and Kuck 1987): each batch is half of a lane's share
    of what is left, in multiples of `least`, which is how many images the network takes at a time.
    """
    ahead: list[ImageRef] = []
    while True:
        ahead += islice(refs, max(0, 2 * lanes * fitting.size - len(ahead)))
        if not ahead:
            return
        half = -(-len(ahead) // (2 * lanes))
        size = min(fitting.size, -(-half // least) * least)
        yield ahead[:size]
        del ahead[:size]
