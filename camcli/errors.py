"""Mistakes that a user can make, each with the exit code that a shell script sees.

Every message is one sentence or two: what was wrong, with which file or value, and what to do.

What goes wrong with one image among many is told with the stage that it happened in (`stage`,
`of_image`): "draw: photos/wide.png: ...".
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from camcli.printable import shortened

DEBUG = "CAMCLI_DEBUG"
"""With this variable set, an unexpected error shows its traceback."""


class CamcliError(Exception):
    """Something the user can act on; shown as one message, never as a traceback."""

    exit_code = 1


class UsageError(CamcliError):
    """A wrong option, name or combination of options."""

    exit_code = 2


class UnavailableError(CamcliError):
    """Weights or a data set that are not on this machine."""

    exit_code = 4


class ImageError(CamcliError):
    """One image that cannot be read; in a batch it becomes an error row and the run goes on."""


_STAGE = "stage: "
_LONGEST = 300  # characters of a foreign message: torch's may hold a page of C++


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Whatever is raised inside remembers what was being done; the innermost stage counts.

    Args:
        name: ``read``, ``decode``, ``resize``, ``network``, ``map``, ``numbers``, ``name``,
            ``draw``, ``encode``, ``write``, ``heatmaps`` or ``journal``.

    Example:
        >>> with stage("draw"):                                      # doctest: +SKIP
        ...     picture = draw(rgb)
    """
    try:
        yield
    except Exception as error:
        if stage_of(error) is None:
            error.add_note(_STAGE + name)
        raise


def stage_of(error: BaseException) -> str | None:
    """What was being done when an exception was raised; None where nobody said."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_STAGE):
            return str(note.removeprefix(_STAGE))
    return None


def of_image(error: Exception, name: str) -> ImageError:
    """What some stage raised for one image, as that image's error.

    Args:
        error: anything.
        name: of the image.

    Returns:
        `error` itself where it is an ImageError that says all, as those of reading do.

    Raises:
        CamcliError: `error` itself, where it concerns every image.
    """
    at = stage_of(error)
    if isinstance(error, ImageError):
        # What is wrong with a file, or with the name for its picture, needs no stage to be said.
        plain = at in (None, "read", "decode", "name")
        return error if plain else ImageError(f"{at}: {error}")
    if isinstance(error, CamcliError):
        raise error
    if out_of_files(error):
        raise CamcliError(TOO_MANY_FILES) from error
    told = ImageError(f"{at or 'unknown stage'}: {name}: {reason(error)}.")
    told.__cause__ = error
    return told


def reason(error: BaseException) -> str:
    """An exception of anybody's in a few words on one line."""
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines()]
    text = next((line for line in lines if line), "").rstrip(".")
    text = shortened(text, _LONGEST)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


TOO_MANY_FILES = (
    "This process may not open more files at a time (ulimit -n shows how many): raise the limit, "
    "'ulimit -n 1024', or take fewer --workers. What was finished is kept."
)


def out_of_files(error: BaseException) -> bool:
    """Whether an exception says that too many files are open, here or on the whole machine."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


# What torch (also as its OutOfMemoryError), its allocators, C++, and the loader of libraries say.
_NO_MEMORY = (
    "out of memory", "DefaultCPUAllocator", "annot allocate memory", "an't allocate memory",
    "std::bad_alloc", "failed to map segment",
)  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that an allocation failed, on any device."""
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    told = isinstance(error, RuntimeError | ImportError | OSError)
    return told and any(words in str(error) for words in _NO_MEMORY)
