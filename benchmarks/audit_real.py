"""Does `camcli audit` find and prove a mark in real photographs, and keep silent where none is?

    python benchmarks/audit_real.py [--kinds sticker,frame] [--seeds 0,1,2,3,4]
        [--only planted,clean,unused,alike,other] [--audit-on heldout|train|both] [--jobs 1]

The photographs are cats and dogs; the network is the bundled one with a head trained by `camcli
train`, all of each photograph being shown to it. The sets (`planted_sets.py`) are made in --work
when they are not there:

- planted: photographs split by chance into alpha and beta, 90% of alpha with a mark. Found is a
  finding of alpha that is proved (verdict `used`), of the right kind and at the right place.
- other: the same with marks of designs that nothing was tuned on (`other_marks.py`).
- clean: the same without marks, and cats against dogs as they are. Nothing may be `used`.
- unused: cats against dogs with a sticker on 80% of cats, where a head that never saw the sticker
  decides, and one that was trained with it. Never `used` by the former, and always listed.
- alike: cats against dogs with a mark on as many of both. Nothing may be `used`.

Beside each set stands the truth: the share of predictions that change when the very same
photographs lack the mark (removed), or get it (added).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from planted_marks import KINDS, Region
from planted_sets import Recipe, make, recipes

from camcli.evaluate.findings.finding import Effect, Finding
from camcli.jobs.audit import AuditJob
from camcli.models.load import load_classifier
from camcli.train.progress import Listener

ONLY = ("planted", "clean", "unused", "alike", "other")
CALLED = {"frame": ("frame",), "cast": ("colour cast",), "blur": ("blur",),
          "ruler": ("mark", "frame"),
          "grey": ("grey", "saturation"), "noise": ("noise",), "contrast": ("contrast",),
          "jpeg": ("jpeg quality",), "vignette": ("frame", "brightness", "border"),
          "oneside": ("frame", "mark")}  # fmt: skip


def default_folder() -> Path:
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "cats-dogs"


def agrees(found: Finding, kind: str, regions: dict[str, Region | None]) -> bool:
    """Whether a finding is of what was planted: its kind, and its place where it has one.

    Args:
        found: by the audit.
        kind: that was planted.
        regions: where, by the photograph's path in the audited folder.
    """
    if found.kind not in CALLED.get(kind, ("mark",)):
        return False
    placed = [
        (s.region, regions[s.rel]) for s in found.sightings
        if s.region is not None and regions.get(s.rel) is not None
    ]  # fmt: skip
    marked = sum(s.rel in regions for s in found.sightings)
    if marked < 0.7 * len(found.sightings):
        return False
    if not any(regions.values()):
        return True
    hits = sum(same_place(seen, true) for seen, true in placed if seen and true)
    return hits > len(placed) / 2


def same_place(a: Region, b: Region) -> bool:
    """Whether one's centre lies in the other, or they overlap by a fifth of their union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    union = sum((r[2] - r[0]) * (r[3] - r[1]) for r in (a, b)) - shared
    x, y = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2
    return (b[0] <= x <= b[2] and b[1] <= y <= b[3]) or shared > 0.2 * union


def audited(
    recipe: Recipe, part: str, data: Path, work: Path, pages: Path | None
) -> dict[str, Any]:
    """One set made, audited and judged: a row of the table."""
    torch.set_num_threads(1)
    folder = make(recipe, data, work)
    told = json.loads((folder / "set.json").read_text("utf-8"))
    regions = {
        name.removeprefix(f"{part}/"): place for name, place in told["regions"].items()
        if name.startswith(f"{part}/")
    }  # fmt: skip
    network = load_classifier(checkpoint=str(folder / "best.safetensors"))
    start = time.perf_counter()
    job = AuditJob(
        str(folder / part), network=network, overwrite=True,
        out=pages and pages / f"{recipe.name}-{part}",
    )  # fmt: skip
    result = job.run(Listener())
    seconds = time.perf_counter() - start
    own = recipe.classes[0]
    right = [f for f in result.findings if f.label == own and agrees(f, recipe.kind, regions)]
    used = [f for f in result.findings if f.verdict == "used"]
    what = recipe.name.split("-")[0]
    row = {
        "name": recipe.name, "part": part, "seconds": seconds, "truth": told["truth"],
        "photographs": len({fact.rel for fact in result.facts}),
        "found": [shown(f, f in right) for f in result.findings if f.verdict != "unproved"],
        "unproved": [shown(f, f in right) for f in result.findings if f.verdict == "unproved"],
        "false": sum(f not in right for f in used) if recipe.share.keys() == {"alpha", "beta"}
        else len(used),
    }  # fmt: skip
    if what not in ("clean", "unused", "alike"):
        row["hit"] = any(f.verdict == "used" for f in right)
    elif what == "unused":
        row["listed"] = bool(right)
        row["trained"] = not recipe.trained_on
    return row


def shown(found: Finding, right: bool) -> str:
    """A finding in a few words."""

    def numbers(effect: Effect | None) -> str:
        if effect is None:
            return "-"
        return f"{effect.changed.value:.0%} ({effect.control.value:.0%}) of {effect.photographs}"

    return (
        f"{'*' if right else ''}{found.label} {found.verdict} {found.kind} in {found.present}/"
        f"{found.looked} and {found.elsewhere}/{found.elsewhere_looked}; removed "
        f"{numbers(found.remove)}, added {numbers(found.add)} [{found.title}]"
    )


def told(row: dict[str, Any]) -> str:
    """A row as it is printed."""
    truth = ", ".join(f"{name} {a}/{b}" for name, (a, b) in row["truth"].items())
    if "hit" in row:
        verdict = "found" if row["hit"] else "MISSED"
    elif "listed" in row:
        verdict = "listed" if row["listed"] else "NOT LISTED"
    else:
        verdict = "quiet"
    verdict += f", {row['false']} FALSE" if row["false"] else ""
    lines = [
        f"{row['name']:22} {row['part']:8} {row['seconds']:4.0f} s  {verdict}"
        f"{f'  truth: {truth}' if truth else ''}"
    ]
    lines += [f"    {each}" for each in row["found"]]
    lines += [f"    (unproved: {len(row['unproved'])})"] if row["unproved"] else []
    return "\n".join(lines)


def rows_of(
    todo: list[tuple[Recipe, str]], work: partial[dict[str, Any]], jobs: int
) -> Iterator[dict[str, Any]]:
    """The rows, in order, by so many processes."""
    if jobs == 1:
        yield from (work(recipe, part) for recipe, part in todo)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, *zip(*todo, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default_folder())
    parser.add_argument("--work", type=Path, default=Path("/tmp/audit-real"))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--only", default="planted,clean,unused,alike")
    parser.add_argument("--audit-on", default="heldout", choices=("heldout", "train", "both"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--pages", type=Path, help="folder for the audits' pages")
    parser.add_argument("--json", type=Path, help="file to which a line a set is added")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"No folder {options.data}; name one with --data.", file=sys.stderr)
        return 4
    only, kinds = options.only.split(","), options.kinds.split(",")
    if odd := [name for name in only if name not in ONLY]:
        parser.error(f"--only takes {', '.join(ONLY)}, not {odd[0]}")
    parts = ("heldout", "train") if options.audit_on == "both" else (options.audit_on,)
    seeds = [int(n) for n in options.seeds.split(",")]
    todo = [(recipe, part) for recipe in recipes(kinds, seeds, only) for part in parts]
    rows = []
    for row in rows_of(
        todo, partial(audited, data=options.data, work=options.work, pages=options.pages),
        options.jobs,
    ):  # fmt: skip
        rows.append(row)
        print(told(row), flush=True)
        if options.json:
            with options.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    print()
    for part in parts:
        summary([row for row in rows if row["part"] == part], part)
    return 0


def summary(rows: list[dict[str, Any]], part: str) -> None:
    """Counts of one part."""
    planted = [row for row in rows if "hit" in row]
    quiet = [row for row in rows if row["name"].startswith(("clean", "alike"))]
    print(f"{part}:")
    if planted:
        print(f"  found and proved in {sum(r['hit'] for r in planted)} of {len(planted)} planted")
        print(f"  something else flagged in {sum(r['false'] > 0 for r in planted)} of them")
    for what in ("clean", "alike"):
        own = [row for row in quiet if row["name"].startswith(what)]
        if own:
            print(f"  {what}: nothing flagged in {sum(not r['false'] for r in own)} of {len(own)}")
    for trained in (False, True):
        own = [row for row in rows if row.get("trained") is trained]
        if own:
            print(
                f"  unused, {'trained with it' if trained else 'head never saw it'}: not flagged "
                f"in {sum(not r['false'] for r in own)} of {len(own)}, listed in "
                f"{sum(r['listed'] for r in own)}"
            )
    per = [1000 * row["seconds"] / row["photographs"] for row in rows]
    print(f"  {sum(per) / len(per):.0f} s for 1,000 photographs, {max(per):.0f} at most")


if __name__ == "__main__":
    sys.exit(main())
