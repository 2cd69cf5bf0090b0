"""A file that grows by whole records."""

from __future__ import annotations

import os
from errno import ENOENT
from pathlib import Path
from types import TracebackType
from typing import Self

from camcli.errors import CamcliError
from camcli.files import why


class Appender:
    """Appends records, one write each; after a kill only the last one can be torn."""

    def __init__(self, path: Path) -> None:
        """Open `path`, which is made if it is not there.

        Raises:
            CamcliError: it cannot be written.
        """
        self.path = path
        try:
            self._file = path.open("ab")
            # Some file systems count no names at all.
            self._counted = os.fstat(self._file.fileno()).st_nlink > 0
        except OSError as error:
            raise self._failed(error) from error

    def _append(self, record: bytes) -> None:
        """Add one record; it is with the operating system when this returns.

        Raises:
            CamcliError: the file cannot be written (disk full, directory removed).
        """
        try:
            self._file.write(record)
            self._file.flush()
            # A removed file takes whatever is written to it, and keeps nothing.
            if self._counted and os.fstat(self._file.fileno()).st_nlink == 0:
                raise OSError(ENOENT, "it was removed while the run was going on")
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> CamcliError:
        return CamcliError(
            f"Cannot write {self.path}: {why(error)}. What was finished is kept; when the "
            "cause is gone, run the same command with --resume."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError:
            pass  # a pipe or a full disk; every record was already handed over
        finally:
            try:
                self._file.close()
            except OSError:
                # What close() could not flush was already reported by _append().
                if error is None:
                    raise
