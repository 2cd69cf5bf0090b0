"""From which value on a map is inside its box: a share, by its histogram, or calibrated.

The box of a map goes around its largest region above a threshold. 20% of the maximum is usual (Zhou
et al. 2016, arXiv 1512.04150), and is right for few networks and input sizes: Choe et al. (2020,
arXiv 2001.07437) found that the threshold decides more than the method. ``camcli evaluate
--calibrate`` chooses it by a few boxes that a person drew. Where no box is known there is the map's
own histogram: ``otsu`` (Otsu 1979, IEEE Transactions on Systems, Man, and Cybernetics 9, 62-66; so
Murtaza et al. 2024, arXiv 2404.10034, go by the image alone), and ``0.2@90``, a share of the map's
90th percentile instead of its maximum (Bae et al. 2020, ECCV, "percentile as a standard for
thresholding"), which one hot spot cannot move.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from camcli.errors import UsageError
from camcli.files import expanded, read_regular
from camcli.models.loading.box_calibration import TABLE, Calibration, read_records
from camcli.printable import printable

USUAL_SHARE = 0.2
"""Share of a map's maximum that is taken where nobody chose one."""
OTSU: Final = "otsu"
PERCENTILE: Final = "0.2@90"
"""The usual share of the 90th percentile, which is what Bae et al. take."""
BoxThreshold = float | str
"""A share of a map's maximum, ``otsu``, or ``SHARE@PERCENTILE``."""
_OF_PERCENTILE = re.compile(r"\s*([0-9.eE+-]+)\s*@\s*([0-9.eE+-]+)\s*")
# As people write shares, too; no file is called so: 20%, 0,2, 0.2@, @90.
_OTHER_NUMBER = re.compile(r"[\s\d.,%@]+|nan@.*|.*@nan", re.IGNORECASE)
_MAX_BYTES = 1 << 20
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".onnx", ".keras", ".h5")
_TAKES = (
    "--box-threshold takes a share of a map's maximum, 0.2, say; a share of its percentile, "
    "0.2@90; otsu; or the .toml file that 'camcli evaluate --calibrate' wrote"
)


def asked_threshold(
    asked: float | str | Path | None,
) -> BoxThreshold | tuple[Calibration, ...] | None:
    """What a user's words mean, as far as it is known without the network.

    Args:
        asked: a share, a share of a percentile, ``otsu``, or a file of calibrations; None for none.

    Raises:
        UsageError: a number out of (0, 1), no such file, or none of this form.
    """
    if asked is None:
        return None
    if str(asked).strip().lower() == OTSU:
        return OTSU
    if found := _OF_PERCENTILE.fullmatch(str(asked)):
        return _of_percentile(found[1], found[2], str(asked))
    try:
        share = float(asked)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        if not str(asked).strip():
            raise UsageError(f"{_TAKES}; what was given is empty.") from None
        if _OTHER_NUMBER.fullmatch(str(asked)):
            raise UsageError(f"{_TAKES}: {printable(asked)} is none of these.") from None
        return read_calibrations(expanded(str(asked)))
    if not 0 < share < 1:
        raise UsageError(f"{_TAKES}: a share is above 0 and below 1, not {asked}.")
    return share


def _of_percentile(share: str, percentile: str, asked: str) -> BoxThreshold:
    """``SHARE@PERCENTILE`` in its one way to be written; of the 100th it is the share itself."""
    try:
        numbers = float(share), float(percentile)
    except ValueError:
        raise UsageError(f"{_TAKES}: {printable(asked)} is none of these.") from None
    if not 0 < numbers[0] < 1 or not 0 < numbers[1] <= 100:
        raise UsageError(
            f"{_TAKES}: before the @ is a share above 0 and below 1, behind it a percentile above "
            f"0 and up to 100, not {printable(asked)}."
        )
    return numbers[0] if numbers[1] == 100 else f"{numbers[0]:g}@{numbers[1]:g}"


def read_calibrations(path: Path) -> tuple[Calibration, ...]:
    """The calibrations of a file.

    Args:
        path: TOML with a table ``[[box_threshold]]`` for each.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    if path.is_dir():
        raise UsageError(f"{_TAKES}. {printable(str(path))} is a folder.")
    if not path.exists():
        raise UsageError(f"{_TAKES}. There is no file {printable(str(path))}.")
    if path.suffix.lower() in _WEIGHTS:
        raise UsageError(
            f"{_TAKES}. A network's file, as {printable(str(path))} is, brings its own threshold "
            "where it has one: name it with --model."
        )
    try:
        values = tomllib.loads(read_regular(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read {printable(str(path))}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{printable(str(path))} is no TOML file ({error}). {_TAKES}.") from error
    try:
        found = read_records(values.get(TABLE))
    except ValueError as error:
        raise UsageError(
            f"{printable(str(path))} is no calibration of boxes: {error}. "
            "'camcli evaluate --calibrate' writes one."
        ) from error
    if not found:
        raise UsageError(
            f"{printable(str(path))} has no table [[{TABLE}]]: 'camcli evaluate --calibrate' "
            "writes one."
        )
    return found


def calibrations_toml(found: Sequence[Calibration]) -> str:
    """Calibrations as a file that `read_calibrations` reads back."""
    lines = [
        "# From which share of its maximum on a map is inside its box, chosen by boxes that a",
        "# person drew: 'camcli batch --box-threshold THIS_FILE'. iou is the mean overlap of the",
        "# boxes with the true ones; iou_held_out that of photographs that did not take part in",
        "# the choice.",
    ]
    for each in found:
        record = each.record()
        lines += ["", f"[[{TABLE}]]"]
        lines += [f"{name} = {_toml(value)}" for name, value in record.items() if name != "maps"]
        lines += [f"[{TABLE}.maps]"]
        lines += [f"{_key(name)} = {_toml(value)}" for name, value in each.maps.items()]
    return "\n".join(lines) + "\n"


def _toml(value: str | int | float) -> str:
    if isinstance(value, str):
        # TOML has no surrogates: a path that is not Unicode cannot be written as it is.
        text = value.encode("utf-8", "replace").decode()
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else _toml(name)
