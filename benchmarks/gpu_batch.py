"""From JPEGs to rows and overlays on a GPU: what bounds it, memory, training, the peers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Any

import cv2
import numpy as np
import torch
from end_to_end import SCRIPTS, script
from gpu_tables import Setting, Table, by_turns, told, watched

from camcli.api import batch
from camcli.batch.batch_size import Fitting
from camcli.batch.engine import stream
from camcli.batch.explain import Decoded, explain_batch, make_explanation, read
from camcli.batch.lanes import threads
from camcli.data.decode.images import load_picture
from camcli.data.sources.find import find_images
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.policy import with_runtime
from camcli.train.feature_pass.features import ImageView, extract, hash_files
from camcli.train.feature_pass.sight import Sight

# Seconds for which each rate is measured.
LONG, SHORT = 2.0, 0.5


def limits(setting: Setting) -> Iterator[Table]:
    """How fast each stage is alone: decoding by threads and processes, and on the GPU."""
    files = sorted(setting.photographs().iterdir())[:2000]
    data = [file.read_bytes() for file in files[:512]]
    cores = available_cores()
    classifier = load_classifier("resnet50", weights="random", device="cpu")
    refs = list(islice(find_images(setting.photographs()), 2000))
    seconds = SHORT if setting.small else LONG
    rows: list[tuple[Any, ...]] = []

    def rate(name: str, work: Callable[[Any], object], items: Sequence[Any], count: int) -> None:
        with threads(1), ThreadPoolExecutor(count) as pool:
            done = _rate(partial(_many, pool, work), items, seconds)
        rows.append((name, f"{count} threads", done))

    counts = sorted({1, 4, 8, cores, 2 * cores} & set(range(1, 2 * cores + 1)))
    for count in counts:
        rate("Pillow: decode and resize, as camcli does", partial(_read, classifier), refs, count)
    rate("Pillow: decode", load_picture, refs, cores)
    rate("OpenCV: decode", _imdecode, data, cores)
    encoded = [torch.frombuffer(bytearray(each), dtype=torch.uint8) for each in data]
    from torchvision.io import decode_jpeg

    rate("torchvision: decode", decode_jpeg, encoded, cores)
    for count in sorted({cores // 2 or 1, cores}):
        with ProcessPoolExecutor(
            count, get_context("spawn"), initializer=_alone, initargs=(str(files[0]),)
        ) as pool:
            list(pool.map(_start, range(4 * count)))
            parts = [refs[n :: 4 * count] for n in range(4 * count)]
            start = time.perf_counter()
            done = 0
            while time.perf_counter() - start < seconds:
                done += sum(pool.map(_read_some, parts))
            took = time.perf_counter() - start
        rows.append(("Pillow: decode and resize", f"{count} processes", done / took))
    if setting.cuda:
        for size in (32, 128, 256):
            try:
                jobs = {"it": partial(decode_jpeg, encoded[:size], device=setting.device)}
                took_ = by_turns(setting, jobs, rounds=3, least=0.3)["it"]
                rows.append((f"nvJPEG in torchvision: decode, {size} at a time", "1 thread",
                             size / min(took_)))  # fmt: skip
            except Exception as error:
                rows.append((told(error), "nvJPEG", None))
                break
        for count in (2, 4):
            with ThreadPoolExecutor(count, initializer=_streamed) as pool:
                groups = [encoded[n : n + 64] for n in range(0, len(encoded), 64)]
                work = partial(_decode_there, setting.device)
                done = _rate(partial(_many, pool, work), groups, seconds) * 64
            rows.append(("nvJPEG, 64 at a time", f"{count} threads", done))
    yield Table("Decoding JPEGs of 500x375 pixels", ("what", "by", "img/s"), rows)


def stages(setting: Setting) -> Iterator[Table]:
    """What a lane does with decoded photographs: copies, network, maps, numbers."""
    rows: list[tuple[Any, ...]] = []
    size = 8 if setting.small else 128
    refs = list(islice(find_images(setting.photographs()), size))
    for name, weights in setting.models.items():
        plain = load_classifier(name, weights=weights, device=setting.device)
        images = [one for one in (read(ref, plain, lambda rgb: rgb[:0]) for ref in refs[:size])
                  if isinstance(one, Decoded)]  # fmt: skip
        what = make_explanation(plain)
        for precision in setting.precisions[:2]:
            fast = with_runtime(plain, "torch", precision=precision)
            pixels = torch.stack([i.pixels.permute(1, 2, 0) for i in images]).permute(0, 3, 1, 2)
            jobs: dict[str, Callable[[], object]] = {
                "network and copy": partial(fast.look, pixels),
                "all of explain_batch": partial(explain_batch, fast, images, what),
            }
            took = by_turns(setting, jobs, rounds=3, least=0.2)
            for job, each in took.items():
                rows.append((name, precision, job, len(images) / statistics.median(each)))
            with ThreadPoolExecutor(2, initializer=_streamed) as pool:
                work = partial(_explain, fast, what)
                done = _rate(partial(_many, pool, work), [images] * 4, LONG / 2)
            rows.append((name, precision, "explain_batch in two lanes", done * len(images)))
    yield Table(f"Stages after decoding, batches of {size}",
                ("network", "precision", "what", "img/s"), rows)  # fmt: skip


def _rate(run: Callable[[Sequence[Any]], object], items: Sequence[Any], seconds: float) -> float:
    """Items a second."""
    run(items[: max(1, len(items) // 8)])
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run(items)
        done += len(items)
    return done / (time.perf_counter() - start)


def _many(pool: ThreadPoolExecutor, work: Callable[[Any], object], items: Sequence[Any]) -> None:
    step = max(1, len(items) // 256)

    def some(first: int) -> None:
        for item in items[first : first + step]:
            work(item)

    list(pool.map(some, range(0, len(items), step)))


def _read(classifier: Classifier, ref: Any) -> None:
    outcome = read(ref, classifier, lambda rgb: rgb[:0])
    if not isinstance(outcome, Decoded):
        raise outcome


def _imdecode(data: bytes) -> None:
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def _decode_there(device: str, group: list[torch.Tensor]) -> None:
    from torchvision.io import decode_jpeg

    decode_jpeg(group, device=device)
    torch.cuda.current_stream().synchronize()


def _explain(classifier: Classifier, what: Any, images: list[Decoded]) -> None:
    explain_batch(classifier, images, what)


def _streamed() -> None:
    if torch.cuda.is_available():
        torch.cuda.set_stream(torch.cuda.Stream())


_here: list[Classifier] = []


def _alone(_file: str) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _here.append(load_classifier("resnet18", weights="random", device="cpu"))


def _start(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def _read_some(refs: list[Any]) -> int:
    for ref in refs:
        _read(_here[0], ref)
    return len(refs)


# --- end to end ----------------------------------------------------------------------------------


def batches(setting: Setting) -> Iterator[Table]:
    """`camcli.batch`, as a user calls it, but for loading."""
    photos = setting.photographs()
    count = len(list(photos.iterdir()))
    rows: list[tuple[Any, ...]] = []
    head = ("network", "precision", "overlays", "img/s", "batch size in the end", "cores busy",
            "GPU busy", "GPU memory, GB", "errors")  # fmt: skip
    first, rest = setting.precisions[1:2] or setting.precisions, setting.precisions[:1]
    cases = [(name, precision, overlays) for name in setting.models for precision, overlays in (
        (first[0], False), (first[0], True), *(((rest[0], False),) if first != rest else ())
    )]  # fmt: skip
    try:
        loaded: dict[str, Classifier] = {}
        for name, precision, overlays in cases:
            if name not in loaded:
                weights = setting.models[name]
                plain = load_classifier(name, weights=weights, device=setting.device)
                list(stream(islice(find_images(photos), 64), plain, make_explanation(plain)))
                loaded = {name: plain}
            rows.append((name, precision, "with" if overlays else "without",
                         *_end_to_end(setting, loaded[name], precision, overlays)))  # fmt: skip
    finally:
        title = f"camcli.batch on {count} photographs of 500x375 pixels"
        note = "From files to rows (and overlays); loading the network is not counted."
        yield Table(title, head, rows, note)


def _end_to_end(
    setting: Setting, plain: Classifier, precision: str, overlays: bool, **options: Any
) -> tuple[Any, ...]:
    sizes: list[int] = []
    classifier = replace(plain)
    if setting.cuda:
        torch.cuda.reset_peak_memory_stats()
    noted = Fitting._took

    def took(self: Fitting, images: int, seconds: float) -> None:
        noted(self, images, seconds)
        sizes.append(self.size)

    out = setting.folder / "run"
    Fitting._took = took  # type: ignore[method-assign]
    try:
        with watched(setting) as use:
            results = batch(
                setting.photographs(), out, classifier, runtime="torch", precision=precision,
                overlays=overlays, overwrite=out.exists(), **options,
            )  # fmt: skip
            statuses = [result.status for result in results]
    finally:
        Fitting._took = noted  # type: ignore[method-assign]
    memory = torch.cuda.max_memory_reserved() / 1e9 if setting.cuda else None
    return (len(statuses) / use.seconds, sizes[-1] if sizes else None, use.cores, use.gpu, memory,
            statuses.count("error"))  # fmt: skip


def memory(setting: Setting) -> Iterator[Table]:
    """A batch that does not fit is halved until it does; nothing is lost."""
    rows: list[tuple[Any, ...]] = []
    plain = load_classifier("resnet18" if setting.small else "resnet50", weights="random",
                            device=setting.device)  # fmt: skip
    refs = list(islice(find_images(setting.photographs()), 24 if setting.small else 1024))
    what = make_explanation(plain)
    usual = [(r.pred, r.heats[0].box) for r in stream(refs, plain, what, batch_size=16)]
    for share in (1.0, 0.02, 0.01) if setting.cuda else (1.0,):
        if setting.cuda:
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(share)
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        results = list(stream(refs, plain, what, batch_size=8 if setting.small else 512))
        seconds = time.perf_counter() - start
        same = sum((r.pred, r.heats[0].box if r.heats else None) == one
                   for r, one in zip(results, usual, strict=True))  # fmt: skip
        peak = torch.cuda.max_memory_allocated() / 1e9 if setting.cuda else None
        rows.append((f"{share:.0%}", len(results), sum(r.status == "error" for r in results),
                     same, peak, len(results) / seconds))  # fmt: skip
    if setting.cuda:
        torch.cuda.set_per_process_memory_fraction(1.0)
    yield Table("Batches of 512 with a share of the memory",
                ("of the memory", "images", "errors", "as in batches of 16", "peak, GB", "img/s"),
                rows)  # fmt: skip


def train(setting: Setting) -> Iterator[Table]:
    """The pass over a data set that `train` begins with; some of it beside the CPU."""
    paths = sorted(setting.photographs().iterdir())[:2500]
    few = paths[: len(paths) // 10 + 1]
    rows: list[tuple[Any, ...]] = []
    for name, weights in setting.models.items():
        here, there = (
            Sight(load_classifier(name, weights=weights, device=device))
            for device in ("cpu", setting.device)
        )
        contents = hash_files(paths)
        view = ImageView(there.classifier)
        expected, _ = extract(few, contents[: len(few)], here, view)
        found, _ = extract(few, contents[: len(few)], there, view)
        near = torch.nn.functional.cosine_similarity(expected.float(), found.float())
        for size in (None, 256):
            with watched(setting) as use:
                found, errors = extract(paths, contents, there, view, batch_size=size)
            rows.append((name, size or "its own", len(found) / use.seconds, use.cores, use.gpu,
                         round(float(near.min()), 5), len(errors)))  # fmt: skip
    yield Table("Features for train", ("network", "batch", "img/s", "cores busy", "GPU busy",
                                       "least cosine with the CPU's", "errors"),
                rows)  # fmt: skip


def peers(setting: Setting) -> Iterator[Table]:
    """Scripts over grad-cam and torchcam, as `end_to_end.py` has them, on this device."""
    files = sorted(setting.photographs().iterdir())
    rows: list[tuple[Any, ...]] = []
    for name, weights in setting.models.items():
        for label in SCRIPTS:
            few = 4 if setting.small else 768 if "tuned" in label else 128
            try:
                script(label, name, weights, files[: max(1, few // 8)], setting.device)
                with watched(setting) as use:
                    rate = script(label, name, weights, files[:few], setting.device)
                rows.append((name, label, rate, use.cores, use.gpu))
            except Exception as error:
                rows.append((name, label, told(error), "", ""))
    yield Table("Scripts over the peers, with their overlays and rows, float32",
                ("network", "script", "img/s", "cores busy", "GPU busy"), rows)  # fmt: skip
