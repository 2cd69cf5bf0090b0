"""Rooms that are verbs: ``camcli.train`` is a package, and the Python API's function of that name.

Importing a package makes it an attribute of its parent, whatever was there before, so the package
itself is what gets called.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    # What help and an editor show of it is what they show of the function.
    __doc__ = property(lambda self: inspect.getdoc(function_of(self.__name__)))
    __signature__ = property(lambda self: inspect.signature(function_of(self.__name__)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return function_of(self.__name__)(*args, **kwargs)


def function_of(package: str) -> Callable[..., Any]:
    """The function of the Python API that a package is called as."""
    import camcli

    verb = package.rpartition(".")[2]
    found: Callable[..., Any] = getattr(importlib.import_module(camcli.HOMES[verb]), verb)
    return found


def make_callable(package: str) -> None:
    """Let a package be called as the function of its name.

    Args:
        package: its dotted name, as its ``__init__`` knows it.
    """
    room = sys.modules[package]
    room.__class__ = _Verb
    # Python 3.14 remembers where an attribute was found, and would take this one for the class's.
    vars(room).pop("__doc__", None)
