"""What a weight file is, told by its bytes before anything opens it, and that its sizes add up.

A file's header says how much memory to take, and a few hundred bytes can ask for gigabytes: a
safetensors header of any length, a zip directory of a million entries, a member that unpacks to a
thousand times its size. Each is bounded here first, by what the file itself weighs. And a file of
another kind is called by its name, with the way from there to weights that can be read.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from camcli.errors import CamcliError, UsageError
from camcli.files import open_regular
from camcli.models.weights.zip_end import end_of

MAX_HEADER = 16 << 20
"""Bytes of a safetensors header: 100,000 tensors take some 13 MB."""
MAX_TENSORS = 200_000
MAX_DIRECTORY = 8 << 20
"""Bytes of a zip file's directory: torch writes about 80 an entry, and one entry a tensor."""
MAX_PICKLE = 64 << 20
"""Bytes of the pickle that says how a torch file's tensors are put together: about 300 a tensor."""
_UNPACKED = 8
"""A zip file may unpack to this many times its size; torch stores tensors as they are."""
_SPARE = 16 << 20
_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's own number, in a pickle of its own
_CRLF = b"\r\n"

WeightsFormat = Literal["safetensors", "torch", "torch-legacy"]


class ForeignFileError(CamcliError):
    """A file of a known kind that holds no weights that are read here.

    Attributes:
        form: the name of its `Foreign`.
    """

    def __init__(self, message: str, form: str = "") -> None:
        super().__init__(message)
        self.form = form


class UnreasonableFileError(CamcliError):
    """A file that would take more memory than it has a reason to."""


@dataclass(frozen=True)
class Foreign:
    """A kind of file that holds no weights that are read here.

    Attributes:
        what: what it is, after "is".
        way: how to open it, or to come from there to weights; ``{path}`` stands for the file and
            ``{name}`` for its name.
        name: what `camcli.models.forms.registry` calls it; empty for what no form reads.
    """

    what: str
    way: str
    name: str = ""


_SAVE = "torch.save(model.state_dict(), 'weights.pth')"
TORCHSCRIPT = Foreign(
    "a TorchScript program (torch.jit.save): a network with its own code",
    "It needs no other: --model {path}. Its weights alone, for a network of another name: "
    "torch.save(torch.jit.load('{name}').state_dict(), 'weights.pth').",
    name="torchscript",
)
EXPORTED = Foreign(
    "a program of torch.export (torch.export.save): a network with its own code",
    "It needs no other: --model {path}. Its weights alone, for a network of another name: "
    "torch.save(dict(torch.export.load('{name}').state_dict), 'weights.pth').",
    name="exported",
)
_ONNX = Foreign(
    "an ONNX network, a graph whose tensors have lost their names in PyTorch",
    "It needs no other: --model {path}.",
    name="onnx",
)
_KERAS = Foreign(
    "a network of Keras, or another HDF5 file",
    "It needs no other: --model {path}. Its layers are other ones than PyTorch's, so its weights "
    "alone go nowhere else.",
    name="keras",
)
_TENSORFLOW = Foreign(
    "a network of TensorFlow", f"Weights of PyTorch are wanted: convert it, and {_SAVE}."
)
_TENSORFLOW_GRAPH = Foreign(
    "a network of TensorFlow",
    "OpenVINO, which camcli has with it, makes one of its own of it: ovc {path} writes an .xml, "
    "which --model takes.",
)
_OLD_TAR = Foreign(
    "in the tar format of torch 0.1, from before 2018, which cannot be opened without running code",
    "If you trust it: torch.save(torch.load('{name}', weights_only=False), 'weights.pth'), and "
    "give that.",
)
_PACKED = Foreign("an archive or a compressed file", "Unpack it, and give the weight file inside.")
_PACKAGE = Foreign(
    "a torch.package or a model archive of TorchServe: a network with its own code",
    f"Where it was made, {_SAVE}, and give that.",
)
_ARRAYS = Foreign(
    "arrays of NumPy",
    "If they have a network's names: torch.save({{k: torch.from_numpy(v) for k, v in "
    "numpy.load('{name}').items()}}, 'weights.pth'), and give that.",
)
_PICKLE = Foreign(
    "a pickle that torch.save did not write (joblib, scikit-learn or plain pickle): opening it "
    "runs whatever code it names",
    f"Where it was made, {_SAVE}, and give that; or, if you trust the file, --trust-pickle opens "
    "it as it is.",
    name="pickle",
)
_PAGE = Foreign(
    "a web page: the download gave a page in place of the file",
    "Fetch it again from the address of the file itself (on the Hugging Face hub: .../resolve/..., "
    "not .../blob/...).",
)
_POINTER = Foreign(
    "a pointer of Git LFS: the file itself was not fetched",
    "Run 'git lfs pull' where it lies, and try again.",
)
_INDEX = Foreign(
    "the index of weights that are spread over several files",
    "Put them into one: state = {{}}; for each of the files beside it: "
    "state.update(safetensors.torch.load_file(file)); then "
    "safetensors.torch.save_file(state, 'weights.safetensors').",
)
_JSON = Foreign("a JSON file, with settings or names but no tensors", "Give the weights beside it.")
_GGUF = Foreign(
    "a GGUF file of llama.cpp",
    "Weights of PyTorch are wanted: give the .safetensors file that it was made of.",
)
_GRAPH = Foreign(
    "the description of an OpenVINO network",
    "It needs no other: --model {path}, with the .bin file beside it.",
    name="openvino",
)

# By first bytes, in this order.
_BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (b"\x89HDF\r\n\x1a\n", _KERAS),
    (b"\x93NUMPY", _ARRAYS),
    (b"GGUF", _GGUF),
    (b"version https://git-lfs", _POINTER),
    (b"\x1f\x8b", _PACKED),
    (b"BZh", _PACKED),
    (b"\xfd7zXZ\x00", _PACKED),
    (b"\x28\xb5\x2f\xfd", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", _PACKED),
    (b"Rar!", _PACKED),
)
# By a member of a zip file: what its path ends in.
_MEMBERS: tuple[tuple[str, Foreign], ...] = (
    ("/constants.pkl", TORCHSCRIPT),
    ("serialized_exported_program.json", EXPORTED),
    ("models/model.json", EXPORTED),
    ("/archive_format", EXPORTED),
    ("model.weights.h5", _KERAS),
    (".data/extern_modules", _PACKAGE),
    ("MAR-INF/MANIFEST.json", _PACKAGE),
    (".npy", _ARRAYS),
)


def recognise(path: Path) -> WeightsFormat:
    """How a weight file is to be opened.

    Nothing in it is executed, and no more is read than its head and the directory of a zip file.

    Args:
        path: a regular file.

    Raises:
        CamcliError: it is empty, cut short, of another kind, or asks for more memory than it has a
            reason to.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise CamcliError(f"{path} is empty.")
            head = file.read(4096)
            if head.startswith(b"PK\x03\x04"):
                return _in_zip(path, file, size)
            if head[257:262] == b"ustar" or _is_old_tar(head):
                names = head[:100].rstrip(b"\0")
                raise _refused(path, _OLD_TAR if names in _TAR_NAMES else _PACKED)
    except OSError as error:
        raise CamcliError(f"{path} cannot be read: {error.strerror or error}.") from error
    if _is_safetensors(head, path):
        _check_safetensors(path, head, size)
        return "safetensors"
    if head[2:].startswith(_MAGIC) and head[:1] == b"\x80":
        return "torch-legacy"
    foreign = _foreign(path, head)
    if foreign is not None:
        raise _refused(path, foreign)
    kind = "safetensors file" if path.suffix == ".safetensors" else "file saved by torch.save"
    raise CamcliError(f"{path} is not a {kind}, or is cut short: copy or download it again.")


def is_checkpoint(path: Path) -> bool:
    """Whether a file says that it is a checkpoint of camcli; it may be damaged all the same."""
    try:
        with open_regular(path) as file:
            head = file.read(8)
            if len(head) < 8:
                return False
            length = min(struct.unpack("<Q", head)[0], MAX_HEADER)
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError):
        return False
    about = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(about, dict) and "camcli" in about


def check_checkpoint(path: Path) -> None:
    """That a file may be a checkpoint of camcli, which are safetensors.

    Raises:
        UsageError: torch wrote it: says which option takes it.
        CamcliError: it is of another kind, or damaged.
    """
    try:
        kind = recognise(path)
    except (ForeignFileError, UnreasonableFileError):
        raise
    except CamcliError as error:
        if isinstance(error.__cause__, OSError):
            raise
        if path.suffix.lower() != ".safetensors":
            raise CamcliError(
                f"{path} is no checkpoint of camcli, whose name ends in .safetensors, nor another "
                "network that is known here: it may be cut short, so copy it again; networks from "
                "elsewhere are given with --model FILE."
            ) from error
        raise CamcliError(
            f"{path} is not a whole safetensors file; copy it again, or train anew."
        ) from error
    if kind != "safetensors":
        raise UsageError(
            f"{path} was saved by torch.save and is not a checkpoint of camcli: give it as --model "
            f"{path}; or with --weights {path} where --model NAME says what it is."
        )


def _refused(path: Path, foreign: Foreign) -> ForeignFileError:
    way = foreign.way.format(name=path.name, path=path)
    return ForeignFileError(f"{path} is {foreign.what}.\n{way}", foreign.name)


def _foreign(path: Path, head: bytes) -> Foreign | None:
    """What a file is that neither torch nor safetensors reads, as far as it is known."""
    for beginning, foreign in _BEGINNINGS:
        if head.startswith(beginning):
            return foreign
    text = head.lstrip(b"\xef\xbb\xbf \t" + _CRLF)[:2000]
    known: tuple[tuple[bool, Foreign], ...] = (
        (text[:15].lower().startswith((b"<!doctype html", b"<html")), _PAGE),
        (text.startswith(b"<?xml") and b"<net " in text, _GRAPH),
        (text[:1] in (b"{", b"[") and b'"weight_map"' in _all(path), _INDEX),
        (text[:1] in (b"{", b"["), _JSON),
        (head[4:8] == b"TFL3" or path.suffix == ".tflite", _TENSORFLOW_GRAPH),
        (path.name.endswith(".index") or ".data-0000" in path.name, _TENSORFLOW),
        (path.suffix == ".pb", _TENSORFLOW_GRAPH),
        # A protobuf whose first field is a small number, the version, and whose next is a text.
        (path.suffix == ".onnx" or (head[:1] == b"\x08" and head[2:3] in (b"\x12", b":")), _ONNX),
        (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"), _PICKLE),
    )
    return next((foreign for true, foreign in known if true), None)


def _all(path: Path) -> bytes:
    """The first megabytes: an index of weights is a text of some hundred kilobytes."""
    with open_regular(path) as file:
        return file.read(4 << 20)


_TAR_NAMES = (b"sys_info", b"pickle", b"storages", b"tensors")


def _is_old_tar(head: bytes) -> bool:
    """A tar of before POSIX, which has no mark: the sum of its first header is right."""
    if len(head) < 512:
        return False
    try:
        said = int(head[148:156].strip(b"\0 ") or b"-1", 8)
    except ValueError:
        return False
    return said == sum(head[:148]) + 8 * 32 + sum(head[156:512])


# --- safetensors ---------------------------------------------------------------------------------


def _is_safetensors(head: bytes, path: Path) -> bool:
    return len(head) > 8 and (
        head[8:9] == b"{" and (path.suffix == ".safetensors" or head[7:8] == b"\0")
    )


def _check_safetensors(path: Path, head: bytes, size: int) -> None:
    """That the header is no longer than the file and than it need be.

    What it says of shapes and offsets is checked by whoever parses it.
    """
    length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else size
    if len(head) < 9 or head[8:9] != b"{" or 8 + length > size:
        raise CamcliError(
            f"{path} is not a whole safetensors file, or is cut short: copy it again."
        )
    if length > MAX_HEADER:
        raise UnreasonableFileError(
            f"The header of {path} has {length:,} bytes, and {MAX_HEADER:,} are enough for any "
            "network: it is damaged, or not what it seems."
        )
    with open_regular(path) as file:
        file.seek(8)
        tensors = file.read(length).count(b'"data_offsets"')
    if tensors > MAX_TENSORS:
        raise UnreasonableFileError(
            f"{path} lists {tensors:,} tensors, and no network has more than {MAX_TENSORS:,}: it "
            "is damaged, or not what it seems."
        )


# --- zip -----------------------------------------------------------------------------------------


def _in_zip(path: Path, file: IO[bytes], size: int) -> WeightsFormat:
    """What a zip file holds, after its directory was found to be of a reasonable size."""
    end = end_of(file, size)
    if end is None:
        raise CamcliError(f"{path} is cut short: copy or download it again.")
    if end.length > min(size, MAX_DIRECTORY):
        raise UnreasonableFileError(
            f"The directory of {path} has {end.length:,} bytes, and {MAX_DIRECTORY:,} are enough "
            "for any network: it is damaged, or not what it seems."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise CamcliError(f"{path} is damaged or cut short ({error}): copy it again.") from error
    if not end.is_plain(len(members)):
        raise UnreasonableFileError(
            f"{path} has another directory than it seems to have, so that each program would find "
            "other things in it: it is damaged, or made to deceive, so it is not opened."
        )
    unpacked = sum(member.file_size for member in members)
    if unpacked > _UNPACKED * size + _SPARE or any(
        member.file_size > size for member in members if member.compress_type == zipfile.ZIP_STORED
    ):
        raise UnreasonableFileError(
            f"{path} has {size:,} bytes and unpacks to {unpacked:,}: it is damaged, or made to "
            "fill the memory, so it is not opened."
        )
    for ending, foreign in _MEMBERS:
        if any(f"/{member.filename}".endswith(ending) for member in members):
            raise _refused(path, foreign)
    pickles = [m for m in members if m.filename.rpartition("/")[2] == "data.pkl"]
    if not pickles:
        raise _refused(path, _PACKED)
    if max(member.file_size for member in pickles) > MAX_PICKLE:
        raise UnreasonableFileError(
            f"{path} describes its tensors in more than {MAX_PICKLE:,} bytes, and no network needs "
            "that many: it is damaged, or not what it seems."
        )
    return "torch"


def member(path: Path, wanted: Callable[[str], bool]) -> bytes:
    """The first member of a zip file whose name is wanted, after `recognise` accepted the file."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if wanted(name))
        return archive.read(name)


def inside(path: Path) -> str:
    """What to give in place of a folder, for the end of a message; empty for anything else."""
    if not path.is_dir():
        return ""
    if (path / "saved_model.pb").is_file():
        return f" It is {_TENSORFLOW_GRAPH.what}. {_TENSORFLOW_GRAPH.way.format(path=path)}"
    ends = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
    try:
        names = sorted(p.name for p in itertools.islice(path.iterdir(), 1000) if p.suffix in ends)
    except OSError:
        return ""
    hint = f" with {', '.join(names[:3])}: give one of them" if names else ": give a file"
    return f" It is a folder{hint}."
