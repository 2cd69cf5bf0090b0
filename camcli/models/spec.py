"""What a user may say of a network, and whether it can mean anything; found out without torch.

torch, torchvision and timm take seconds to import, and a name that is mistyped should cost none of
them. Names of models are therefore read from the installed libraries' own files, which is a search
for text: nothing of them is run. What cannot be told for sure is left to
`camcli.models.loading.zoo`.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from camcli.errors import UsageError
from camcli.files import expanded
from camcli.models.weights.bundled_file import BUNDLED as BUNDLED_FILES
from camcli.models.weights.bundled_file import NAME as BUNDLED
from camcli.models.weights.formats import ForeignFileError, is_checkpoint, recognise

LAST = "last"
PYRAMID = "pyramid"
"""The last maps of the last sizes, whose maps become one: `camcli.models.cutting.pyramid`."""
TIMM = "timm:"
HUB = "hf:"

IN_MEMORY = "in memory"
"""What ``run.json`` says of the weights of a module that a program made, beside their digest."""

OutputKind = Literal["softmax", "sigmoid", "binary", "probabilities", "none"]
"""What a network's outputs are:

- softmax: logits of classes of which one is right; p = softmax(S).
- sigmoid: logits of labels, each of which is right or not; p_c = sigmoid(S_c).
- binary: one logit z, as two columns: S_0 = -z and S_1 = z; p_c = sigmoid(S_c), which sum to 1.
- probabilities: the outputs are probabilities; p = S.
- none: the outputs are measurements, of an age, say: there are no classes and no probabilities.
"""
AskedOutput = Literal["auto", OutputKind]
OUTPUT_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)

# Below, nothing is left after five halvings; above, one picture takes the memory of a machine.
SMALLEST_INPUT, LARGEST_INPUT = 16, 8192
_WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar", ".onnx", ".h5")
_PROGRAM_SUFFIXES = (".xml", ".pt2", ".keras", ".pkl", ".pickle", ".th", ".torchscript", ".ts")
_DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d{1,4})?")
_DEVICES = re.compile(r"cuda:(\d{1,4}(?:,(?:cuda:)?\d{1,4})+)")


def is_own_code(name: str) -> bool:
    """Whether building a model runs code of the user's own.

    Its name is ``module:factory``, ``path/file.py:factory``, or a file's alone.
    """
    if name[1:3] in (":\\", ":/") and ":" not in name[2:] and not name.lower().endswith(".py"):
        return False  # a drive of Windows, and no code
    named = name.startswith((TIMM, HUB))
    return (":" in name or name.lower().endswith(".py")) and not named


def own_code_parts(name: str) -> tuple[str, str]:
    """A name of one's own code as its module or file, and what builds the network there.

    The drive of a path on Windows, ``C:/nets/mynet.py:build``, is part of the path. What builds
    the network may be empty where a file is named alone.
    """
    if name.lower().endswith(".py"):
        return name, ""
    where, _, what = name.rpartition(":")
    return where, what


def is_file_of_code(where: str) -> bool:
    """Whether the first of `own_code_parts` is a path, and not a dotted name."""
    return where.lower().endswith(".py") or "/" in where or "\\" in where or where in (".", "..")


def code_file(where: str) -> Path:
    """The file or package that a path to code means; ``.py`` may be left out."""
    path = expanded(where)
    with_suffix = path.with_name(f"{path.name}.py") if path.name else path
    return with_suffix if not path.exists() and with_suffix.is_file() else path


def anywhere(name: str) -> str:
    """A network's name as it is written in any folder: paths are made absolute."""
    if is_path(name) and expanded(name).exists():
        return str(expanded(name).absolute())
    if not is_own_code(name):
        return name
    where, what = own_code_parts(name)
    if not is_file_of_code(where):
        return name
    return f"{code_file(where).absolute()}{':' * bool(what)}{what}"


def same_code(one: str, other: str) -> bool:
    """Whether two names may be of one network's code: paths may lead to it from other folders."""
    if one == other:
        return True
    (where, what), (where2, what2) = own_code_parts(one), own_code_parts(other)
    if not (is_file_of_code(where) and is_file_of_code(where2)):
        return False
    names = [re.split(r"[/\\]", each)[-1].removesuffix(".py") for each in (where, where2)]
    return what == what2 and names[0] == names[1]


def is_path(name: str) -> bool:
    """Whether a name is a file or a folder: by how it is written, or because it is there."""
    if not name or is_own_code(name) or name.startswith((TIMM, HUB)):
        return False
    written_as_path = (
        any(mark in name for mark in ("/", os.sep))
        or name.startswith((".", "~"))
        or Path(name).suffix.lower() in (*_WEIGHT_SUFFIXES, *_PROGRAM_SUFFIXES)
    )
    if written_as_path or name in BUNDLED_FILES or name in torchvision_names():
        return written_as_path
    return Path(name).exists()


def is_checkpoint_name(name: str) -> bool:
    """Whether a network's name is a file that ``camcli train`` wrote."""
    return is_path(name) and is_checkpoint(expanded(name))


def layer_names(text: str) -> tuple[str, ...]:
    """``layer2,layer3`` as names.

    Raises:
        UsageError: an empty name, or one that occurs twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"--layer takes one name or several different ones, a,b,c: not {text!r}.")
    return names


def check_own_code(name: str) -> None:
    """Refuse what cannot be ``module:factory``.

    Raises:
        UsageError: it is not well-formed.
    """
    where, what = own_code_parts(name)
    if is_file_of_code(where):
        path = code_file(where)
        if path.is_dir() and not (path / "__init__.py").is_file():
            raise UsageError(
                f"--model {name}: {path} is a folder without __init__.py; name a file in it, "
                "FILE.py:FACTORY."
            )
        if not path.exists():
            raise UsageError(f"--model {name}: there is no file {path}." + _nearby(path))
        if path.is_file() and path.suffix.lower() != ".py":
            raise UsageError(
                f"--model {name}: {path} is no Python file; a model of your own is written "
                "FILE.py:FACTORY or module:factory, and a file of a network as it is, without "
                "a colon."
            )
        return
    if not (what and all(where.split("."))):
        raise UsageError(
            f"--model {name}: a model of your own is written module:factory or FILE.py:FACTORY."
        )


def _nearby(path: Path) -> str:
    """Python files with a like name in the same folder, as a question."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix == ".py"]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=3)
    return f" Did you mean {' or '.join(str(path.parent / each) for each in near)}?" if near else ""


def check_timm(name: str) -> None:
    """Refuse ``timm:NAME`` of a name that timm does not have.

    Raises:
        UsageError: it is none; names the nearest.
    """
    architecture = name.removeprefix(TIMM).partition(".")[0]
    names = timm_names()
    # Names that timm has given up still work, and stand somewhere else in its files.
    if names and architecture not in names and not _in_timm(architecture):
        raise unknown(name, [f"{TIMM}{each}" for each in names], "model of timm")


def check_torchvision(name: str) -> None:
    """Refuse a name that torchvision does not have.

    Raises:
        UsageError: it is none; names the nearest.
    """
    names = torchvision_names()
    if names and name not in names:
        raise unknown(name, [*BUNDLED_FILES, *names], "model")


def check_weights(weights: str | None, model: str, trust: bool = False) -> None:
    """Refuse a file of weights that is not there, or holds none.

    Args:
        weights: what the user gave: a file, the name of a set of weights, or ``random``.
        model: whose they are.
        trust: whether a file that runs code when it is opened will do.

    Raises:
        UsageError: it is written as a file and there is none.
        CamcliError: it is of another kind, or damaged as far as that shows without opening it.
    """
    if not weights or weights == "random":
        return
    path = expanded(weights)
    if path.exists() and not path.is_dir():
        try:
            recognise(path)
        except ForeignFileError as error:
            if not (trust and error.form == "pickle"):
                raise
    written_as_file = "/" in weights or path.suffix.lower() in _WEIGHT_SUFFIXES
    if written_as_file and not path.exists():
        raise UsageError(f"There is no weight file {path}; besides a file, {model} takes random.")


def check_weights_key(key: str | None, weights: str | Path | None, model: str = BUNDLED) -> None:
    """Refuse to choose from a file that nobody named.

    Args:
        key: which of several sets of weights; None for the usual one.
        weights: the file that has them.
        model: the network, which may be that file.

    Raises:
        UsageError: there is a key and no file.
    """
    if is_path(model):
        return
    if key and (weights is None or not expanded(weights).is_file()):
        raise UsageError(
            "--weights-key chooses one of several sets of weights in a file: name the file with "
            "--weights."
        )


def check_together(
    *,
    model: str,
    checkpoint: str | Path | None,
    weights: str | Path | None,
    weights_key: str | None,
    output: str,
    input_size: int | None,
    native_predictions: bool,
    preprocess: object,
) -> None:
    """Refuse options of a network that mean nothing together; see `load_classifier` for each.

    Raises:
        UsageError: there are such.
    """
    if not model and (checkpoint is not None or weights is not None):
        raise UsageError(
            "A network in memory has its weights: load them into it, and leave weights and "
            "checkpoint out."
        )
    if native_predictions and input_size is None:
        raise UsageError(
            "--native-predictions keeps the predictions at the network's own size while the maps "
            "come from a larger one: add --input-size N, or leave it out."
        )
    if checkpoint is None:
        check_weights_key(weights_key, weights, model)
    elif weights_key:
        raise UsageError("--weights-key belongs to --weights: a checkpoint has one set only.")
    elif check_output(output) is not None:
        raise UsageError("A checkpoint knows what its outputs are: leave --output out.")
    elif preprocess is not None:
        raise UsageError("A checkpoint knows how it was trained: leave --preprocess out.")


def check_output(name: str) -> OutputKind | None:
    """`name` as a kind, None for ``auto``.

    Raises:
        UsageError: there is no such kind.
    """
    for kind in OUTPUT_KINDS:
        if kind == name:
            return kind
    if name == "auto":
        return None
    raise UsageError(f"Unknown output {name!r}. Choose one of auto, {', '.join(OUTPUT_KINDS)}.")


def check_device(name: str) -> None:
    """Refuse what is no device on any machine.

    Raises:
        UsageError: it is none.
    """
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"Unknown device {name!r}. Choose auto, cpu, cuda, cuda:N or mps.")


def named_devices(name: str) -> list[str]:
    """The devices that a user names: ``cuda:0,1`` are two.

    Raises:
        UsageError: one of them twice, or what is no device on any machine.
    """
    if found := _DEVICES.fullmatch(name):
        numbers = [int(each.removeprefix("cuda:")) for each in found[1].split(",")]
        if len(set(numbers)) < len(numbers):
            raise UsageError(
                f"--device {name} names a GPU twice: --processes 2 has two processes on each."
            )
        return [f"cuda:{number}" for number in numbers]
    check_device(name)
    return [name]


def check_input_size(size: int | None) -> None:
    """Refuse a side that no network can look at.

    Raises:
        UsageError: too small, or too large for any machine.
    """
    if size is None:
        return
    if size < SMALLEST_INPUT:
        raise UsageError(f"The input size must be at least {SMALLEST_INPUT} pixels, not {size}.")
    if size > LARGEST_INPUT:
        raise UsageError(f"The input size must be at most {LARGEST_INPUT} pixels, not {size}.")


def unknown(name: str, names: Iterable[str], where: str) -> UsageError:
    """The error for a model that does not exist, with the nearest that do."""
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"No {where} is called '{name}'. {hint}`camcli models` lists all of them.")


def torchvision_files() -> list[Path]:
    """The files with torchvision's classification models; those of sub-packages detect or segment.

    Empty if they are not there.
    """
    return [file for file in _files("torchvision") if file.parent.name == "models"]


@cache
def torchvision_names() -> tuple[str, ...]:
    """Torchvision's classification models, read from its files; empty if they are not there."""
    return tuple(sorted(_registered(torchvision_files())))


@cache
def timm_names() -> tuple[str, ...]:
    """Timm's architectures, read from its files; empty if they are not there."""
    return tuple(sorted(_registered(_files("timm"))))


def _files(package: str) -> list[Path]:
    """The Python files of a library's ``models``."""
    spec = importlib.util.find_spec(package)  # of a package itself: nothing is imported
    places = list(spec.submodule_search_locations or ()) if spec else []
    return [file for place in places for file in sorted(Path(place, "models").rglob("*.py"))]


def _registered(files: Iterable[Path]) -> Iterator[str]:
    """The functions below ``@register_model``."""
    for file in files:
        waiting = False
        for line in file.read_text("utf-8", "replace").splitlines():
            if line.startswith("@register_model"):
                waiting = True
            elif waiting and line.startswith("def "):
                waiting = False
                yield line[4:].partition("(")[0].strip()


def _in_timm(name: str) -> bool:
    """Whether timm's files have it in quotes anywhere."""
    return any(f"'{name}'" in file.read_text("utf-8", "replace") for file in _files("timm"))
