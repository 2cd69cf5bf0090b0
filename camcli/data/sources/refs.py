"""What names one image before anything of it is read, and where its bytes are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.request import url2pathname

from camcli.errors import (
    TOO_MANY_FILES,
    CamcliError,
    ImageError,
    UnavailableError,
    UsageError,
    out_of_files,
)
from camcli.files import open_regular

# One connection at a time, which the threads of a run would mix up.
_UNREAD = frozenset({"ftp", "ftps", "sftp", "ssh", "telnet"})
# What can be read with fsspec's drivers, where they are not installed.
_KNOWN = frozenset(
    "s3 s3a gs gcs az abfs abfss adl http https hdfs hf oci oss memory dropbox github smb".split()  # noqa: SIM905
)
# Seconds to wait before a remote read is tried again; networks fail for a moment.
_PAUSES = (1.0, 4.0)


MAX_BYTES = 1 << 30
"""Largest file of a picture that is read into memory, 1 GiB."""


class Reader(Protocol):
    """Makes a file's content of what is stored, as where it is compressed; can be pickled."""

    def __call__(self, blob: Blob) -> bytes:
        """The content; `Blob.stored` gives what is stored.

        Raises:
            ImageError: it cannot be had.
        """


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that are no local file of their own: a member of a tar, an object behind a URL.

    Attributes:
        place: local path or URL of what holds them.
        offset: where they start; None for all of it.
        size: how many they are, where `offset` says where they start.
        problem: why they cannot be read, where that is known already.
        reader: makes the content of them; None where they are the content.
    """

    place: str
    offset: int | None = None
    size: int = 0
    problem: str | None = None
    reader: Reader | None = None

    def read(self) -> bytes:
        """The content.

        Raises:
            ImageError: it cannot be had; without the name, which the caller knows.
        """
        if self.problem is not None:
            raise ImageError(self.problem)
        return self.stored() if self.reader is None else self.reader(self)

    def stored(self) -> bytes:
        """The bytes as they are stored.

        Raises:
            ImageError: they cannot be had.
        """
        data = _remote(self) if is_url(self.place) else _local(self)
        if self.offset is not None and len(data) < self.size:
            raise ImageError(f"{self.place} ends within it; copy or download that file again.")
        return data


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One image, before anything is read.

    Attributes:
        path: absolute path of the file. Where there is a `blob` it only names the image
            (``/data/shard-000.tar/cat.jpg``, ``s3:/photos/cat.jpg``).
        rel: path relative to the root it was found under, with forward slashes. It names the
            outputs, because basenames collide (Office-31 is all ``frame_0001.jpg``).
        label: the true class's name when the layout tells it, else None.
        blob: the bytes, where they are no local file.
    """

    path: Path
    rel: str
    label: str | None = None
    blob: Blob | None = None


def is_url(text: str) -> bool:
    """Whether a name is for fsspec: ``s3://photos/cat.jpg``; ``C://photos`` is a folder."""
    scheme, sign, _ = text.partition("://")
    return bool(sign) and len(scheme) > 1 and scheme.replace("+", "").replace("-", "").isalnum()


def local_path(url: str) -> str | None:
    """The path that a ``file://`` URL names; None for other URLs.

    Raises:
        UsageError: it is on another machine.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() != "file":
        return None
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(f"{url} is on another machine; give a path, or file:///folder/name.")
    return url2pathname(slash + path)


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the URL's path in it.

    Raises:
        UsageError: nothing reads this kind of URL.
        UnavailableError: fsspec, or its driver for this kind of URL, is not installed.
    """
    scheme = url.partition("://")[0].lower()
    if scheme in _UNREAD:
        raise UsageError(
            f"{url}: {scheme}:// is not read; download it first and give its path. Read are "
            "folders, files, and URLs such as s3://bucket/photos and gs://bucket/photos."
        )
    try:
        from fsspec import available_protocols
        from fsspec.core import url_to_fs
    except ImportError:
        if scheme not in _KNOWN:
            raise UsageError(_not_read(url, scheme)) from None
        raise UnavailableError(
            f"{url} needs fsspec: pip install 'camcli[remote]' brings it with s3:// and gs://."
        ) from None
    if scheme not in available_protocols():
        raise UsageError(_not_read(url, scheme))
    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:  # "Install s3fs to access S3"; unknown scheme
        raise UnavailableError(
            f"{url} cannot be opened: {error}. pip install 'camcli[remote]' brings s3:// and gs://."
        ) from None
    # Drivers raise errors of their own libraries, and some connect at once.
    except Exception as error:
        raise UsageError(
            f"{url} could not be opened ({type(error).__name__}: {error}); check the name, the "
            "network and your credentials."
        ) from None
    return system, path


def _not_read(url: str, scheme: str) -> str:
    return (
        f"{url}: nothing reads {scheme}:// URLs. Read are folders, files, and URLs such as "
        "s3://bucket/photos and gs://bucket/photos."
    )


def _local(blob: Blob) -> bytes:
    try:
        with open_regular(blob.place) as file:
            if blob.offset is None:
                return file.read()
            # Before so much is asked of the memory: a damaged header may say anything.
            if os.fstat(file.fileno()).st_size < blob.offset + blob.size:
                return b""
            file.seek(blob.offset)
            return file.read(blob.size)
    except OSError as error:
        if out_of_files(error):  # which is no fault of this image
            raise CamcliError(TOO_MANY_FILES) from error
        raise ImageError(f"{blob.place} could not be read ({error.strerror}).") from error


def _remote(blob: Blob) -> bytes:
    if blob.offset is not None and blob.size == 0:
        return b""
    try:
        local_path(blob.place)  # which refuses other machines' files
        system, path = file_system(blob.place)
    except (UnavailableError, UsageError) as error:
        raise ImageError(str(error)) from error
    end = None if blob.offset is None else blob.offset + blob.size
    for pause in (*_PAUSES, None):
        try:
            data: bytes = system.cat_file(path, start=blob.offset, end=end)
            return data
        except FileNotFoundError as error:
            raise ImageError("there is no such object.") from error
        except PermissionError as error:
            raise ImageError(f"access was denied ({error}).") from error
        # Drivers raise errors of their own libraries.
        except Exception as error:
            if pause is None:
                raise ImageError(f"could not be read ({type(error).__name__}: {error}).") from error
            time.sleep(pause)
    raise AssertionError
