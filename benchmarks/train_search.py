"""What `camcli train` finds, and how good it says that is, beside its default and other tools.

    python benchmarks/train_search.py --out DIR [--textiles DIR] [--data DIR] [--seeds 3]
    python benchmarks/train_search.py --out DIR --only honest     # 20 seeds: is the promise kept?
    python benchmarks/train_search.py --out DIR --quick           # minutes, for trying this out

Sets: `textiles` (package conformal-clip-data, MIT), `cats-dogs` (DIR/cats-dogs; by default
$CAMCLI_TEST_DATA, else ../shared/data) and `fruit`, drawn by ``camcli data synthetic``. A quarter
of each class is held out, another one with each seed; no way sees it before it has ended. What
trains is the same for all, of which camcli holds out 15 % once more for its own validation, and
scikit-learn and AutoGluon do not.

Ways, each a process of its own with an empty cache, one after the other:

    default       ``camcli train --no-search``: five epochs of a head, as before there was a search;
                  with --before CHECKOUT, that version of camcli
    optimum       the same with the head's optimum, ``--solver lbfgs``
    search        ``camcli train``, --time-limit as given here
    any-head      ``--no-explainable``: also heads whose maps have no closed form
    fine-tuned    ``--unfreeze all`` at 320 pixels, or as --fine-tune says
    sklearn       scikit-learn on the default's features
    sklearn-same  scikit-learn on the features that the search chose
    autogluon     its image predictor on the same network, with --autogluon PYTHON

Seconds are from Enter to the end, start of Python included, but for scikit-learn: there they are
of the features and the fit, and with sklearn-same of the fit alone. Peak memory is the process's
own. What
is done is kept in DIR/results and not done again, so that the same command goes on. LightlyTrain is
left out: its licence is the AGPL.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_counting import calibration_error, chance_error, confidences, named, right
from search_sets import ImageSet, cats_dogs, fruit, textiles
from search_tables import print_honest, print_sets

HERE = Path(__file__).resolve().parent
LITE0 = ["--backbone", "efficientnet_lite0"]
TUNED = "--backbone efficientnet_lite0 --input-size 320 --unfreeze all"
WAYS = {
    "default": [*LITE0, "--no-search"],
    "optimum": [*LITE0, "--no-search", "--solver", "lbfgs"],
    "search": ["--search"],
    "any-head": ["--search", "--no-explainable"],
    "fine-tuned": [],
}
"""What each is told besides the data, the seed and the time."""
PEERS = ("sklearn", "sklearn-same", "autogluon")
USUAL = "default,optimum,search,sklearn,sklearn-same"


class EndedError(Exception):
    """A way that did not come to its end; says which and why."""


@dataclass(frozen=True)
class Bench:
    """What is asked for.

    Attributes:
        out: results, runs and caches.
        limit: of a search, as ``--time-limit`` takes it.
        fine_tune: options of the fine-tuned way.
        before: a checkout that the default is run from, or None.
        autogluon: the Python of an environment that has it, or None.
    """

    out: Path
    limit: str
    fine_tune: list[str]
    before: Path | None
    autogluon: Path | None

    def result(self, images: ImageSet, seed: int, way: str) -> dict[str, Any] | None:
        """One way on one split: found in DIR/results, or done now; None if it cannot be."""
        kept = self.out / "results" / f"{images.name}-{seed}-{way}.json"
        if kept.is_file():
            told: dict[str, Any] = json.loads(kept.read_text("utf-8"))
            return told
        table = images.table(seed, self.folder("tables"))
        print(f"{images.name}, seed {seed}: {way} ...", file=sys.stderr, flush=True)
        try:
            if way == "autogluon":
                done = self._autogluon(table, seed)
            elif way in PEERS:
                done = self._sklearn(images, table, seed, way)
            else:
                done = self._camcli(images, table, seed, way)
        except EndedError as error:  # the others go on; the same command tries it again
            print(error, file=sys.stderr, flush=True)
            done = None
        if done is None:
            return None
        held = [path for path, _ in images.split(seed)["test"]]
        for judged in done.get("ways", {"": done}).values():
            judged["hits"] = named(judged["hits"], held)
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps(done, indent=1), "utf-8")
        draft.replace(kept)
        return done

    def _camcli(self, images: ImageSet, table: Path, seed: int, way: str) -> dict[str, Any]:
        honest = way == "honest"
        name = f"{images.name}-{seed}-{way}"
        run = self.folder("runs") / name
        # Twenty seeds are about what is promised, not about time: they look at each image once.
        cache = self.folder("caches") / ("honest" if honest else name)
        shutil.rmtree(run, ignore_errors=True)
        told = self.fine_tune if way == "fine-tuned" else WAYS["search" if honest else way]
        if "--search" in told:
            told = [*told, "--time-limit", self.limit]
        old = self.before if way == "default" else None
        if old:
            told = LITE0
        spent = measured(
            [sys.executable, "-m", "camcli", "train", "--data", str(table), "--out", str(run),
             "--seed", str(seed), "--offline", "--cache-dir", str(cache), *told],
            self.folder("logs") / f"{name}.txt", tree=old,
        )  # fmt: skip
        scores = json.loads((run / "metrics.json").read_text("utf-8"))
        done = {
            **spent, "hits": right(run / "predictions.csv"), "scores": scores,
            "chosen": chosen(run), "own": out_of_fold(run),
            "ece": calibration(run, scores),
        }  # fmt: skip
        if way != "search" and not honest:  # whose features scikit-learn is given
            shutil.rmtree(cache, ignore_errors=True)
        return done

    def _sklearn(self, images: ImageSet, table: Path, seed: int, way: str) -> dict[str, Any] | None:
        extra = ["--seed", str(seed)]
        cache = self.folder("caches") / f"{images.name}-{seed}-sklearn"
        if way == "sklearn-same":
            name = f"{images.name}-{seed}-search"
            cache = self.folder("caches") / name
            run = self.folder("runs") / name
            if not (run / "config.toml").is_file():
                print("  needs a finished run of `search`: left out", file=sys.stderr)
                return None
            extra += ["--run", str(run)]
        told, spent = self._child("sklearn", [str(table), str(cache)], extra)
        shutil.rmtree(cache, ignore_errors=True)
        return {**spent, **told}

    def _autogluon(self, table: Path, seed: int) -> dict[str, Any] | None:
        if self.autogluon is None:
            return None
        weights = self.folder("lite0")
        peer = [sys.executable, str(HERE / "search_peer.py"), "lite0", str(weights)]
        subprocess.run(peer, check=True)
        out = self.folder("logs") / "told.json"
        spent = measured(
            [str(self.autogluon), str(HERE / "search_autogluon.py"), str(table), str(out),
             "--weights", str(weights), "--seed", str(seed), "--seconds",
             str(round(in_seconds(self.limit)))],
            self.folder("logs") / f"{table.stem}-autogluon.txt",
        )  # fmt: skip
        return {**spent, **json.loads(out.read_text("utf-8"))}

    def _child(
        self, part: str, where: list[str], extra: Iterable[str] = ()
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """What a part of `search_peer.py` tells, and what it took."""
        out = self.folder("logs") / "told.json"
        spent = measured(
            [sys.executable, str(HERE / "search_peer.py"), part, *where, str(out), *extra],
            self.folder("logs") / f"{part}.txt",
        )  # fmt: skip
        return json.loads(out.read_text("utf-8")), spent

    def folder(self, name: str) -> Path:
        """One of DIR's."""
        path = self.out / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def measured(command: list[str], log: Path, tree: Path | None = None) -> dict[str, float]:
    """Run a command and return its seconds, its processor's, and its peak memory in MiB.

    This process stays small and imports no torch: a child begins with its parent's memory. It runs
    beside its log: ``python -m camcli`` would take a checkout in the current folder before `tree`.
    """
    env = os.environ | {"PYTHONPATH": str(tree.resolve() if tree else HERE.parent)}
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=env, cwd=log.parent
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise EndedError(
            f"{shlex.join(command)}\nended with {child.returncode}:\n{log.read_text()[-2000:]}"
        )
    per = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / per,
    }


def chosen(run: Path) -> dict[str, Any]:
    """What a run's settings say about how it looks and what its head is."""
    import tomllib

    told = tomllib.loads((run / "config.toml").read_text("utf-8"))
    names = (
        "backbone", "input_size", "fit", "pooling", "mirror", "augment", "head", "solver", "l2",
    )  # fmt: skip
    return {name: told[name] for name in names if name in told}


def out_of_fold(run: Path) -> dict[str, int] | None:
    """How many of its training images a run got right without having learned from them."""
    path = run / "out_of_fold.csv"
    if not path.is_file():
        return None
    hits = right(path, "train")  # it has the others, too
    return {"hits": sum(hits.values()), "count": len(hits)}


def calibration(run: Path, scores: dict[str, Any]) -> dict[str, float] | None:
    """The calibration error on what is held out, and before it was divided by a temperature.

    That after it is counted here once more, from the table of predictions.
    """
    told = scores.get("temperature", {})
    if "test" not in told:
        return None
    rows = confidences(run / "predictions.csv")
    after = calibration_error(rows)
    if abs(after - told["test"]["ece"]) > 1e-3:
        raise EndedError(f"{run}: {told['test']['ece']} is told, and {after:.4f} is so")
    return {
        "temperature": told["value"], "before": told["test"]["ece_before"], "after": after,
        "chance": chance_error(rows),
    }  # fmt: skip


def in_seconds(limit: str) -> float:
    """``90s``, ``5m`` or ``1h`` in seconds."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(limit[-1])
    return float(limit[:-1]) * unit if unit else float(limit)


def chosen_sets(args: argparse.Namespace, out: Path) -> list[ImageSet]:
    """Those that are asked for and here."""
    found = []
    for name in args.sets.split(","):
        if name == "textiles" and args.textiles:
            found.append(textiles(args.textiles.absolute()))
        elif name == "cats-dogs" and (args.data / "cats-dogs").is_dir():
            found.append(cats_dogs(args.data.absolute() / "cats-dogs"))
        elif name == "fruit":
            found.append(fruit(out / "fruit"))
        else:
            print(f"{name}: not here, left out (--textiles, --data)", file=sys.stderr)
    return [images.thinned(args.images) for images in found] if args.images else found


def usual_data() -> Path:
    return Path(os.environ.get("CAMCLI_TEST_DATA", HERE.parents[1] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--textiles", type=Path)
    parser.add_argument("--data", type=Path, default=usual_data())
    parser.add_argument("--sets", default="textiles,cats-dogs,fruit")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", default=USUAL, help="of those above")
    parser.add_argument("--only", choices=["sets", "honest"], help="one of the two parts")
    parser.add_argument("--honest-seeds", type=int, default=20)
    parser.add_argument("--time-limit", default="4m", help="of a search; the run is to take 5m")
    parser.add_argument("--honest-limit", default="1m", help="of each of the many searches")
    parser.add_argument("--fine-tune", default=TUNED, help="options of the way fine-tuned")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--autogluon", type=Path, help="a Python that has autogluon.multimodal")
    parser.add_argument("--images", type=int, help="about so many of each set, for trying out")
    parser.add_argument("--quick", action="store_true", help="--images 160, one seed, a minute")
    args = parser.parse_args()
    if args.quick:
        args.images, args.seeds, args.honest_seeds = args.images or 160, 1, 3
        args.time_limit = args.honest_limit = "40s"
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    (out / "results").mkdir(exist_ok=True)
    ways = [way for way in (*WAYS, *PEERS) if way in args.ways.split(",")]
    tuned = shlex.split(args.fine_tune)
    # A link to a Python is how it knows its environment: it is not followed.
    python = args.autogluon and args.autogluon.absolute()
    bench = Bench(out, args.time_limit, tuned, args.before, python)
    sets = chosen_sets(args, out)
    if args.only != "honest":
        found = {
            (images.name, seed, way): result
            for images in sets
            for seed in range(args.seeds)
            for way in ways
            if (result := bench.result(images, seed, way)) is not None
        }
        print_sets(found, ways)
    if args.only != "sets" and sets:
        bench = Bench(out, args.honest_limit, tuned, None, None)
        first = sets[0]
        many = [bench.result(first, seed, "honest") for seed in range(args.honest_seeds)]
        print_honest(first.name, [each for each in many if each])


if __name__ == "__main__":
    main()
