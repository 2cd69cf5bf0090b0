"""Standard streams that take whatever is written: closed, full, or in an encoding without é."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

from camcli.errors import CamcliError

# What tables and bars are drawn with, where the encoding has no such signs.
_PLAIN = str.maketrans(
    {"━": "-", "─": "-", "■": "#", "×": "x", "·": ".", "–": "-", "…": "...", "’": "'", "│": "|"}
)
_TOLERANT = "camcli.tolerant"
_NARROW = 20


class UnwritableError(CamcliError):
    """Standard output takes no more: the disk is full, say. There is nobody to print for."""


class ReaderGoneError(Exception):
    """Whoever read standard output has closed it, as ``| head`` does: not an error."""


class _Output(io.TextIOWrapper):
    """Standard output that says what is wrong with it, in one sentence."""

    def write(self, text: str) -> int:
        """Take a text; see `io.TextIOBase.write`.

        Raises:
            UnwritableError: it cannot be written.
            ReaderGoneError: nobody reads it.
        """
        try:
            return super().write(text)
        except OSError as error:
            raise _told(error) from error

    def flush(self) -> None:
        """Hand over what was written; raises as `write` does."""
        try:
            super().flush()
        except OSError as error:
            raise _told(error) from error


class _Messages(io.TextIOWrapper):
    """Standard error whose troubles end nothing: a message that nobody can read is lost."""

    def write(self, text: str) -> int:
        """Take a text, if there is anybody to take it."""
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written, if that is possible."""
        with suppress(OSError):
            super().flush()


def _told(error: OSError) -> Exception:
    # What is left in the buffer would fail again when Python closes the stream at its end.
    silence(1)
    # Windows says of a pipe that nobody reads that the argument is invalid.
    if error.errno == errno.EPIPE or (sys.platform == "win32" and error.errno == errno.EINVAL):
        return ReaderGoneError()
    return UnwritableError(
        f"Standard output cannot be written: {error.strerror}. What the command wrote to files is "
        "there."
    )


def silence(number: int) -> None:
    """Let a standard stream, by its number, go to nowhere from now on."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, number)
        if nowhere > 2:
            os.close(nowhere)


def prepare() -> None:
    """Make the three standard streams such that writing to them needs no thought.

    A stream that is closed (``2>&-``) goes to nowhere: else the next file that is opened would get
    its number, and what libraries print would go into that file. Standard output keeps the bytes
    of names that are not UTF-8, and writes ``\\xe9`` where its encoding has no é. A terminal that
    says it has no columns, or next to none, gets lines of the fewest that can be read.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < _NARROW:
        os.environ["COLUMNS"] = str(_NARROW)
    codecs.register_error(_TOLERANT, _tolerate)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            silence(number)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    sys.stdout = _rewrapped(sys.stdout, 1, _Output, _TOLERANT)
    sys.stderr = _rewrapped(sys.stderr, 2, _Messages, "backslashreplace")


def _rewrapped(stream: Any, number: int, kind: type[io.TextIOWrapper], errors: str) -> Any:
    """The same stream as another kind of object."""
    if stream is None:
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        return kind(raw, encoding="utf-8", errors=errors, line_buffering=True)
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # a notebook's, or a test's
    encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
    return kind(
        stream.detach(), encoding=encoding, errors=errors, line_buffering=lines,
        write_through=through,
    )  # fmt: skip


def _tolerate(error: UnicodeError) -> tuple[str | bytes, int]:
    """A codecs error handler: bytes of names as they were, else plain signs, else escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wide = error.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
    made = b"".join(_encoded(sign) for sign in error.object[error.start : error.end])
    return (made.decode("ascii", "backslashreplace") if wide else made), error.end


def _encoded(sign: str) -> bytes:
    if 0xDC80 <= ord(sign) <= 0xDCFF:  # how Python writes a byte of a name that is not UTF-8
        return bytes([ord(sign) - 0xDC00])
    plain = sign.translate(_PLAIN)
    return plain.encode("ascii", "backslashreplace")


def tolerated(text: str, encoding: str | None) -> str:
    """A text that this encoding has, for streams that are not this module's."""
    codecs.register_error(_TOLERANT, _tolerate)
    known = encoding or "ascii"
    return text.encode(known, _TOLERANT).decode(known, "backslashreplace")


def finish() -> int:
    """Write out what is left; the exit code that a failure deserves, else 0."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except ReaderGoneError:
            return 0
        except UnwritableError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    return 0
