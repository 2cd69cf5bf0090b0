"""Several processes on one GPU, each with its part of the photographs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_tables import Setting, Table, told, watched

from camcli.batch.explain import make_explanation
from camcli.batch.processes.engine import ProcessEngine
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.jobs.batch import BatchJob
from camcli.jobs.model import ModelJob
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime

# Model, precision, processes on each device (0: this one alone), overlays, times the photographs.
CASES = (
    ("resnet50", "bfloat16", 0, False, 1),
    ("resnet50", "bfloat16", 8, False, 2),
    ("resnet50", "bfloat16", 16, False, 4),
    ("resnet50", "bfloat16", 8, True, 1),
    ("efficientnet_lite0", "bfloat16", 16, False, 4),
    ("resnet50", "bfloat16", 4, False, 2),
    ("resnet50", "bfloat16", 2, False, 1),
)


def processes(setting: Setting) -> Iterator[Table]:
    """`camcli batch --processes N`."""
    rows: list[tuple[Any, ...]] = []
    cases = CASES
    if setting.small:
        cases = tuple(("resnet18", "float32", count, False, 1) for count in (0, 2))
    if len(setting.devices) > 1:  # a process on each of them, too
        cases = (*cases[:1], ("resnet50", "bfloat16", 1, False, 1), *cases[1:])
    head = (
        "network", "precision", "processes", "overlays", "img/s steady", "img/s with the start",
        "first after, s", "cores busy", "GPU busy", "errors",
    )  # fmt: skip
    try:
        for case in cases:
            try:
                rows.append((*_named(case), *_measured(setting, *case)))
            except Exception as error:
                rows.append((*_named(case), told(error), "", "", "", "", ""))
            print(rows[-1], flush=True)
    finally:
        yield Table(f"Processes on each of {', '.join(setting.devices)}", head, rows,
                    "Steady: between the first and the last fifth of the photographs. Cores busy "
                    "counts processes that have ended, their start included.")  # fmt: skip


def _named(case: tuple[Any, ...]) -> tuple[Any, ...]:
    name, precision, count, overlays, _ = case
    return name, precision, count or "this one", "with" if overlays else "without"


def _measured(
    setting: Setting, name: str, precision: str, count: int, overlays: bool, times: int
) -> tuple[Any, ...]:
    weights = None if name == "efficientnet_lite0" else "random"
    loads = [partial(load_classifier, name, weights=weights, device=each)
             for each in setting.devices]  # fmt: skip
    classifier = with_runtime(loads[0](), "torch", precision=precision)
    engine = ProcessEngine(tuple(loads) * count, "torch", precision) if count else None
    out = setting.folder / "many"
    run = Run(
        find_images(_links(setting, times)), classifier, make_explanation(classifier),
        RunDirectory(out), overlays=overlays, engine=engine,
    )  # fmt: skip
    run.prepare(overwrite=out.exists())
    with watched(setting) as use:
        start, at, errors = time.perf_counter(), [], 0
        for result in run:
            at.append(time.perf_counter() - start)
            errors += result.status == "error"
    fifth = len(at) // 5
    steady = (len(at) - 2 * fifth) / (at[-1 - fifth] - at[fifth])
    return steady, len(at) / use.seconds, at[0], use.cores, use.gpu, errors


def _links(setting: Setting, times: int) -> Path:
    photos = setting.photographs()
    if times == 1:
        return photos
    folder = setting.folder / f"links-{times}"
    for n in range(times):
        part = folder / str(n)
        if not part.exists():
            part.mkdir(parents=True)
            for file in photos.iterdir():
                os.link(file, part / file.name)
    return folder


def ray(setting: Setting) -> Iterator[Table]:
    """`camcli batch --engine ray`: a worker for each GPU, or one a core where there is none."""
    if find_spec("ray") is None:
        yield Table("Ray", ("what", "is"), [("ray", "not installed: nothing was tried")])
        return
    name = "resnet18" if setting.small else "resnet50"
    job = BatchJob(
        str(setting.photographs()), ModelJob(name, weights="random", device=setting.device),
        limit=8 if setting.small else None, overlays=False, runtime="torch",
    )  # fmt: skip
    here = list(job.results())
    with watched(setting) as use:
        found = list(replace(job, out=setting.folder / "ray", engine="ray").results())
    errors = sum(result.status == "error" for result in found)
    same = sum(a.pred == b.pred and abs((a.prob or 0) - (b.prob or 0)) < 1e-3
               for a, b in zip(here, found, strict=True))  # fmt: skip
    yield Table(
        f"Ray's workers on {setting.device}, their start included",
        ("network", "images", "as in one process", "img/s", "cores busy", "GPU busy", "errors"),
        [(name, len(found), same, len(found) / use.seconds, use.cores, use.gpu, errors)],
    )
