"""Settings by name: from a function's arguments to a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Record = TypeVar("Record")


def filled(record: type[Record], given: Mapping[str, Any], **more: Any) -> Record:
    """A record from the arguments of a function that are called as its fields are.

    A test holds the arguments of each command and function against the fields.

    Args:
        record: a dataclass.
        given: the arguments, as ``locals()`` has them at a function's first line; what is no field
            is left out.
        more: fields that have another name there, or are put together first.

    Example:
        >>> from camcli.jobs.model import ModelJob
        >>> filled(ModelJob, {"model": "resnet18", "method": "gradcam"}, device="cpu").model
        'resnet18'
    """
    names = [each.name for each in fields(record)]  # type: ignore[arg-type]
    return record(**{name: given[name] for name in names if name in given} | more)
