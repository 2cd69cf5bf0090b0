"""Thresholds of boxes that an evaluation chose: what means nothing together, and where they go."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from camcli.errors import CamcliError, UsageError
from camcli.files import why, write_whole
from camcli.models.loading.box_calibration import Calibration, merged
from camcli.models.spec import BUNDLED
from camcli.train.progress import Listener


def check_calibration(
    calibrate: Path | None,
    store: Path | None,
    box_threshold: float | str | Path | None,
    *,
    checkpoints: Sequence[Path | None],
    overwrite: bool,
) -> None:
    """Refuse what means nothing with a calibration or without one, and a file that is there.

    Args:
        calibrate: boxes by which thresholds are chosen, if they are.
        store: where these are written.
        box_threshold: a threshold that was asked for.
        checkpoints: the files of the networks; None for those that are no checkpoints.
        overwrite: whether a file may be replaced.

    Raises:
        UsageError: as it says.
        CamcliError: the system writes nothing there.
    """
    if calibrate is None:
        if store is not None:
            raise UsageError("--store keeps what --calibrate chose: add --calibrate BOXES.")
        return
    if box_threshold is not None:
        raise UsageError("--calibrate chooses the threshold of boxes: leave --box-threshold out.")
    if store is None:
        return
    kind = store.suffix.lower()
    if kind not in (".toml", ".safetensors"):
        raise UsageError(
            f"--store takes FILE.toml, or FILE.safetensors for a copy of the checkpoint, not "
            f"{store}."
        )
    if kind == ".safetensors":
        if len(checkpoints) != 1 or checkpoints[0] is None:
            raise UsageError(
                "--store FILE.safetensors is for one checkpoint of 'camcli train', named by "
                "--models; for other networks take a FILE.toml."
            )
        if os.path.realpath(checkpoints[0]) == os.path.realpath(store):
            raise UsageError(f"{store} is the checkpoint itself: choose another --store.")
    above = next((each for each in store.parents if os.path.lexists(each)), store.parent)
    if os.path.lexists(above) and not above.is_dir():
        raise UsageError(f"{above} is a file, so {store} cannot be in it: choose another --store.")
    if os.path.lexists(store) and not (overwrite and store.is_file()):
        raise UsageError(
            f"{store} exists. Add --overwrite to replace it, or choose another --store."
        )
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise CamcliError(f"Cannot write {store}: {why(error)}. Choose another --store.") from error


# What decides maps, where it is an option of 'camcli batch' of the same value.
_OPTIONS = ("method", "fit", "size", "smooth", "fuse", "converge")
_CALLED = {"size": "input-size"}


def _batch(file: Path, calibrations: Mapping[str, Sequence[Calibration]]) -> str:
    """The run whose boxes these are, as far as it is one run."""
    (network, found), *others = calibrations.items()
    one = not others and len(found) == 1 and "width" not in found[0].maps
    if not one:
        return f"'camcli batch --box-threshold {file}', for maps as they were measured here"
    words = ["camcli", "batch", "PHOTOS"]
    if network != BUNDLED:
        words += ["--model", network]
    for name in _OPTIONS:
        if name in found[0].maps:
            words += [f"--{_CALLED.get(name, name)}", str(found[0].maps[name])]
    return f"'{shlex.join([*words, '--box-threshold', str(file)])}'"


def store(
    file: Path,
    calibrations: Mapping[str, Sequence[Calibration]],
    checkpoints: Sequence[Path | None],
    listener: Listener,
) -> None:
    """Write thresholds of boxes.

    Args:
        file: ``.toml``, or ``.safetensors`` for a copy of the one checkpoint.
        calibrations: by network.
        checkpoints: as `check_calibration` takes them.
        listener: told what was written.

    Raises:
        CamcliError: it cannot be written.
    """
    found = [each for own in calibrations.values() for each in own]
    if file.suffix.lower() == ".toml":
        from camcli.cam.box_threshold import calibrations_toml

        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, calibrations_toml(found))
        except OSError as error:
            raise CamcliError(f"Cannot write {file}: {error.strerror}.") from error
        listener.say(f"Wrote {file}: {_batch(file, calibrations)}.")
        return
    from camcli.models.loading.checkpoint import load_checkpoint, save_checkpoint

    (own,) = checkpoints
    assert own is not None, "`check_calibration` has refused others"
    saved = load_checkpoint(own)
    save_checkpoint(file, replace(saved, boxes=merged(saved.boxes, found)))
    listener.say(f"Wrote {file}: {own} with the threshold of its boxes.")
