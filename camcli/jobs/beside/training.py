"""How the network of a run was made, for its page: the folder of ``camcli train``, where found."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.batch.run_files.recorded_paths import file_sha256, recorded_paths
from camcli.errors import UsageError
from camcli.jobs.beside.files import (
    json_object,
    mapping,
    number,
    table,
    texts,
    words,
)
from camcli.train.judging.words import judged_lines
from camcli.train.run_folder.rundir import (
    BEST,
    CONFIG,
    CROSSING,
    CURVE_TABLE,
    EPOCHS,
    INFO,
    SEARCH,
    SPLIT_WORDS,
)

# More of them make a page slow, and nobody reads on.
_EPOCHS, _CLASSES, _PAIRS, _NOTES, _TRIED = 5000, 5000, 50, 50, 500
_SIZES, _COPIES = 50, 500
_CURVES = ("train_loss", "val_loss", "train_acc", "val_acc", "train_map", "val_map", "val_r2", "l2",
           "lr")  # fmt: skip

_CANDIDATE = ("backbone", "input_size", "fit", "pooling", "views", "head")
_REACHED = ("channels", "l2", "images", "log_loss", "accuracy", "seconds")


def find_training(
    info: Mapping[str, Any], run: Path, given: Path | None, say: Callable[[str], object]
) -> dict[str, Any] | None:
    """What is known of the training of a run's network.

    Args:
        info: the content of the run's ``run.json``.
        run: its folder.
        given: the folder of the training, by the user's word; None to go by the checkpoint that
            the run was made with.
        say: told of a training that turned out to be another network's.

    Returns:
        Plain values for the page; None where there is none.

    Raises:
        UsageError: `given` is no folder of a training.
    """
    provenance = mapping(info.get("provenance"))
    sha256 = words(provenance.get("sha256"))
    if given is not None:
        found = read_training(given)
        if found is None:
            raise UsageError(
                f"{given} is not the folder of a 'camcli train': it has no {INFO} of one."
            )
        name = Path(words(provenance.get("weights"), 4096)).name
        checkpoint = given / name if (given / name).is_file() and name else given / BEST
        return {**found, "same": _same(checkpoint, sha256), "checkpoint": str(checkpoint)}
    if provenance.get("source") != "checkpoint":
        return None
    for checkpoint in recorded_paths(words(provenance.get("weights"), 4096), info, run):
        found = read_training(checkpoint.parent)
        if found is None:
            continue
        same = _same(checkpoint, sha256)
        if same is False:
            say(
                f"{checkpoint} has changed since the run, so the page does not show how it was "
                f"trained; --training {checkpoint.parent} shows it all the same."
            )
            return None
        return {**found, "same": same, "checkpoint": str(checkpoint)}
    return None


def _same(checkpoint: Path, sha256: str) -> bool | None:
    """Whether a checkpoint is the one of the run; None where that cannot be told."""
    own = file_sha256(checkpoint)
    return None if own is None or not sha256 else own == sha256


def read_training(folder: Path) -> dict[str, Any] | None:
    """What ``camcli train`` left in a folder, as plain values for the page.

    Args:
        folder: of the run.

    Returns:
        None if it is no such folder. What is missing or broken in it is left out.
    """
    info = json_object(folder / INFO)
    if info is None or info.get("command") != "train":
        return None
    config = mapping(info.get("config"))
    if not {"data", "backbone"} <= config.keys():
        return None
    return {
        "folder": str(folder),
        "status": words(info.get("status")),
        "facts": _facts(info, config),
        "settings": [[name, _setting(value)] for name, value in list(config.items())[:100]],
        "notes": texts(info.get("notes"), _NOTES),
        "tried": _tried(folder),
        "epochs": _epochs(folder),
        "sizes": _sizes(folder),
        "copies": _copies(folder),
        "splits": _splits(folder, info),
        "commands": _commands(folder, info, config),
    }


def _facts(info: Mapping[str, Any], config: Mapping[str, Any]) -> list[list[str]]:
    """Name and value of what a reader asks first."""
    backbone, data = mapping(info.get("backbone")), mapping(info.get("data"))
    counts = mapping(info.get("counts"))
    seconds = [number(each) for each in mapping(info.get("seconds")).values()]
    classes = info.get("classes")
    told = ", ".join(
        f"{int(images):,} {name}"
        for split, name in (("train", "training"), ("val", "validation"), ("test", "test"))
        if (images := number(counts.get(split)))
    )
    layers = words(config.get("unfreeze"))
    verdicts = info.get("fine_tuning")
    verdicts = [mapping(each) for each in verdicts[:100]] if isinstance(verdicts, list) else []
    if verdicts and all(each.get("kept") == "head alone" for each in verdicts):
        layers = ""
    facts = [
        ("Backbone", words(backbone.get("name")) or words(config.get("backbone"))),
        ("Its weights at the start", words(backbone.get("weights"))),
        ("What learned", f"the head, and the backbone from {layers}" if layers else "the head"),
        ("Fine-tuning", " ".join(words(each.get("told")) for each in verdicts)),
        ("Photographs", words(data.get("root"))),
        ("How they lie", words(data.get("layout"))),
        ("Split", told),
        ("Classes", f"{len(classes):,}" if isinstance(classes, list) else ""),
        ("Could not be read", words(info.get("skipped") or "")),
        ("Begun", words(info.get("started"))),
        ("Finished", words(info.get("finished"))),
        ("Seconds", f"{sum(s for s in seconds if s):.1f}" if any(seconds) else ""),
        ("Device", words(info.get("device"))),
        *_judged(info),
    ]
    return [[name, value] for name, value in facts if value]


def _judged(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How good the head really is, in a few lines; what is broken in it is left out."""
    judged = mapping(info.get("judged"))
    found: list[tuple[str, str]] = []
    for name, value in judged.items():
        with suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
            found += judged_lines({name: value})
    return [(words(name), words(text)) for name, text in found]


def _setting(value: Any) -> str:
    if value is None:
        return "as fits"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words(value)


def _epochs(folder: Path) -> list[dict[str, float]]:
    """One entry an epoch: the curves' numbers that are there, with its stage and member."""
    found = []
    for row in table(folder / EPOCHS, _EPOCHS):
        values = {name: number(row.get(name)) for name in (*_CURVES, "stage", "epoch", "member")}
        found.append({name: value for name, value in values.items() if value is not None})
    return [row for row in found if row.keys() & set(_CURVES)]


def _tried(folder: Path) -> list[dict[str, Any]]:
    """What a search compared, the one that it took first; each is told what it was and reached."""
    found = []
    for row in table(folder / SEARCH, _TRIED):
        one: dict[str, Any] = {name: words(row.get(name, "")) for name in _CANDIDATE}
        one |= {name: number(row.get(name)) for name in _REACHED}
        if one["backbone"] and one["log_loss"] is not None:
            found.append({**one, "won": row.get("won") == "yes"})
    return sorted(found, key=lambda one: not one["won"])


def _sizes(folder: Path) -> list[dict[str, float]]:
    """Errors by the number of training photographs, and the law through them and beyond."""
    found = []
    for row in table(folder / CURVE_TABLE, _SIZES):
        values = {name: number(row.get(name)) for name in ("images", "error", "law")}
        found.append({name: value for name, value in values.items() if value is not None})
    return [row for row in found if row.get("images", 0) > 0 and len(row) > 1]


def _copies(folder: Path) -> list[list[str]]:
    """Photographs that are in two splits: which, of what, and how that is known."""
    columns = ("path", "split", "copy_of", "copy_split", "kind", "same_labels")
    rows = table(folder / CROSSING, _COPIES)
    return [[words(row.get(name, ""), 4096) for name in columns] for row in rows if row.get("path")]


def _splits(folder: Path, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The held-out numbers: of the test set first, which nothing was chosen by."""
    metrics = mapping(info.get("metrics"))
    found = []
    for split in ("test", "val"):
        scores = {
            words(name): value
            for name, each in mapping(metrics.get(split)).items()
            if (value := number(each)) is not None
        }
        classes = [
            [
                words(row.get("class", "")),
                *(
                    number(row.get(name))
                    for name in (
                        "support", "recall", "precision", "f1", "average_precision", "threshold"
                    )
                ),
            ]
            for row in table(folder / f"per_class-{split}.csv", _CLASSES)
        ]  # fmt: skip
        confused = [
            [words(row.get("true", "")), words(row.get("predicted", "")), count]
            for row in table(folder / f"confused-{split}.csv", _PAIRS)
            if (count := number(row.get("count")))
        ]
        if scores or classes:
            found.append(
                {
                    "split": split,
                    "name": SPLIT_WORDS[split],
                    "scores": scores,
                    "classes": classes,
                    "confused": confused,
                }
            )
    return found


def _commands(folder: Path, info: Mapping[str, Any], config: Mapping[str, Any]) -> list[list[str]]:
    """What to do next: words, and the command."""
    where = shlex.quote(str(folder))
    again = shlex.quote(f"{folder}-2")
    settings = shlex.quote(str(folder / CONFIG))
    if info.get("status") != "finished":
        return [["Go on with it", f"camcli train --config {settings} --out {where} --resume"]]
    data = shlex.quote(words(mapping(info.get("data")).get("root"), 4096) or "DATA")
    checkpoint = shlex.quote(str(folder / BEST))
    return [
        [
            "Judge methods and predictions with intervals",
            f"camcli evaluate {data} --models {checkpoint} --out {folder.name}-evaluation"
            if folder.name.isidentifier()
            else f"camcli evaluate {data} --models {checkpoint} --out evaluation",
        ],
        ["Train again with the same settings", f"camcli train --config {settings} --out {again}"],
    ]
