"""Settings of a training run in a TOML file, and what is said later over what was said before."""

from __future__ import annotations

import difflib
import json
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from camcli.errors import UsageError
from camcli.files import read_regular
from camcli.train.config import TrainConfig
from camcli.train.ranges import short

_MAX_BYTES = 1 << 20
# What is another way to say the same, so that it takes the place of what was said before.
_INSTEAD_OF = {
    "domain": ("train_domain", "test_domain"),
    "train_domain": ("domain",),
    "test_domain": ("domain",),
    "ensemble": ("members",),
    "members": ("ensemble",),
    "weights": ("weights_key",),  # which is a key of that file
}
EVALUATE = "evaluate"
"""The table of a configuration that `camcli evaluate` reads."""


def read_config(path: Path) -> dict[str, Any]:
    """The settings that a TOML file gives, checked for name and type.

    Args:
        path: a flat table of `TrainConfig`'s names; dashes may stand for underscores. A table
            `EVALUATE` is left to `camcli evaluate`.

    Raises:
        UsageError: it cannot be read, is not TOML, or has an unknown key or a value of the wrong
            type.
    """
    values = {key.replace("-", "_"): value for key, value in read_toml(path).items()}
    if isinstance(values.get(EVALUATE), dict):
        del values[EVALUATE]
    return check_values(values, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_regular(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text, as TOML has to be.") from error
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise UsageError(f"{path} is not well-formed TOML: {error}.") from error


def check_values(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Settings with known names and the right types; a whole number may stand for a float.

    Raises:
        UsageError: names the setting, and the nearest one that exists.
    """
    hints = typing.get_type_hints(TrainConfig)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(hints)}."
            raise UsageError(f"{origin}: there is no setting {short(name)!r}; {hint}")
        kinds = _kinds(hints[name])
        if float in kinds and type(value) is int and abs(value) < 1e300:
            value = float(value)
        if type(value) not in kinds:
            wanted = " or ".join(_WORDS[k] for k in kinds if k is not type(None))
            raise UsageError(f"{origin}: {name} must be {wanted}, not {short(value)!r}.")
        if isinstance(value, str) and "\0" in value:
            raise UsageError(f"{origin}: {name} has a NUL in it, which no name or path has.")
        checked[name] = value
    return checked


def resolve(file: Path | None, given: Mapping[str, Any]) -> TrainConfig:
    """The command line over the file over the defaults.

    Args:
        file: a TOML file, or None.
        given: what the command line says, and only that.

    Raises:
        UsageError: see `read_config` and `TrainConfig`.
    """
    config = TrainConfig()
    if file is not None:
        try:
            config = replace(config, **read_config(file))
        except UsageError as error:
            text = str(error)
            raise UsageError(text if str(file) in text else f"{file}: {text}") from error
    return changed(config, given)


def changed(config: TrainConfig, given: Mapping[str, Any]) -> TrainConfig:
    """Settings with others over them.

    Where two settings exclude each other, the one that is given wins: ``domain`` over a training
    and a test domain of the configuration, for instance.

    Args:
        config: what was settled before.
        given: what was said later, by name.

    Raises:
        UsageError: see `TrainConfig`; what is given contradicts itself.
    """
    defaults = TrainConfig()
    dropped = {other for name in given for other in _INSTEAD_OF.get(name, ())} - given.keys()
    return replace(config, **{name: getattr(defaults, name) for name in dropped}, **given)


def to_toml(config: TrainConfig) -> str:
    """The settings as a file that `read_config` reads back; None is left out."""
    lines = ["# What this run was made with; use it again with --config."]
    for field in fields(config):
        value = getattr(config, field.name)
        if value is not None:
            # JSON's strings, numbers and booleans are TOML's, once DEL and lone surrogates are out.
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        # TOML has no surrogates: a path that is not Unicode cannot be written as it is.
        text = value.encode("utf-8", "replace").decode()
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


_WORDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def _kinds(hint: Any) -> tuple[type, ...]:
    """The types that a value may have; a choice is a text."""
    if typing.get_origin(hint) is Literal:
        return (str,)
    parts = get_args(hint)  # of a union
    return tuple(kind for part in parts for kind in _kinds(part)) if parts else (hint,)
