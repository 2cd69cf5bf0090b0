"""Several processes on one GPU, each with its part of the photographs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gpu_tables import Setting, Table, watched

from camcli.batch.explain import make_explanation
from camcli.batch.processes.engine import ProcessEngine
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime

# Model, precision, processes (0: this one alone), overlays, times the photographs.
CASES = (
    ("resnet50", "bfloat16", 0, False, 1),
    ("resnet50", "bfloat16", 16, False, 4),
    ("resnet50", "bfloat16", 16, True, 2),
    ("efficientnet_lite0", "bfloat16", 16, False, 4),
    ("resnet50", "bfloat16", 8, False, 2),
    ("resnet50", "bfloat16", 4, False, 2),
    ("resnet50", "bfloat16", 2, False, 1),
)


def processes(setting: Setting) -> Iterator[Table]:
    """`camcli batch --processes N`."""
    rows: list[tuple[Any, ...]] = []
    cases = CASES
    if setting.small:
        cases = tuple(("resnet18", "float32", count, False, 1) for count in (0, 2))
    head = (
        "network", "precision", "processes", "overlays", "img/s steady", "img/s with the start",
        "first after, s", "cores busy", "GPU busy", "errors",
    )  # fmt: skip
    try:
        for case in cases:
            try:
                rows.append((*_named(case), *_measured(setting, *case)))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"[:300]
                rows.append((*_named(case), text, "", "", "", "", ""))
            print(rows[-1], flush=True)
    finally:
        yield Table("Several processes on one device", head, rows,
                    "Steady: between the first and the last fifth of the photographs. Cores busy "
                    "counts processes that have ended, their start included.")  # fmt: skip


def _named(case: tuple[Any, ...]) -> tuple[Any, ...]:
    name, precision, count, overlays, _ = case
    return name, precision, count or "this one", "with" if overlays else "without"


def _measured(
    setting: Setting, name: str, precision: str, count: int, overlays: bool, times: int
) -> tuple[Any, ...]:
    weights = None if name == "efficientnet_lite0" else "random"
    load = partial(load_classifier, name, weights=weights, device=setting.device)
    classifier = with_runtime(load(), "torch", precision=precision)
    engine = ProcessEngine((load,) * count, "torch", precision) if count else None
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
