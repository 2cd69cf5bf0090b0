"""Folders as Hugging Face's hub has them: what is in them, and how they come here; without torch.

``config.json`` says whose network it is: ``model_type`` and ``architectures`` are transformers',
``architecture`` is timm's. ``hf:owner/name`` names such a folder on the hub: it is looked for in
Hugging Face's own cache, then where camcli keeps weights, and fetched there if need be.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.files import read_regular
from camcli.models.spec import HUB
from camcli.models.weights.formats import recognise
from camcli.models.weights.places import WeightFile, fetch, is_offline, search_dirs
from camcli.net.download import present
from camcli.printable import printable

if TYPE_CHECKING:
    from camcli.models.loading.sources import AskedModel

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
Owner = Literal["transformers", "timm"]
_LARGEST = 8 << 20
# The usual names of weights, the safe ones first; an index names the files that they lie in.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_OTHERS = {
    "tf_model.h5": "TensorFlow's weights", "flax_model.msgpack": "Flax's weights",
    "adapter_config.json": "an adapter of PEFT, without the network that it changes",
    "adapter_model.safetensors": "an adapter of PEFT, without the network that it changes",
}  # fmt: skip
_REPOSITORY = re.compile(r"([\w.-]+)/([\w.-]+)(?:@([\w./-]+))?")
_FILE_NAME = re.compile(r"[\w.-]{1,200}")


@dataclass(frozen=True)
class HubFolder:
    """A folder with a network.

    Attributes:
        path: where it is.
        owner: the library that it is for.
        config: what its ``config.json`` says.
        weights: its files of tensors.
    """

    path: Path
    owner: Owner
    config: Mapping[str, Any]
    weights: tuple[Path, ...]

    def file(self, name: str) -> Path | None:
        """A file in it, under its name or its name and the first digits of its sha256."""
        return present(self.path / name)

    def json(self, name: str) -> dict[str, Any] | None:
        """What a JSON file in it says; None where there is none.

        Raises:
            CamcliError: it cannot be read.
        """
        path = self.file(name)
        return None if path is None else read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file with a table.

    Raises:
        CamcliError: it is damaged, or something else.
    """
    try:
        value = json.loads(read_regular(path, _LARGEST).decode("utf-8-sig"))
    except OSError as error:
        raise CamcliError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise CamcliError(f"{path} is damaged: it is no JSON ({error}).") from error
    if not isinstance(value, dict):
        raise CamcliError(f"{path} is damaged: it holds no settings.")
    return value


def owner_of(config: Mapping[str, Any]) -> Owner | None:
    """Whose ``config.json`` it is; None of another program."""
    if isinstance(config.get("architecture"), str):
        return "timm"
    if config.get("model_type") == "timm_wrapper":
        return "timm"
    if isinstance(config.get("model_type"), str) or isinstance(config.get("architectures"), list):
        return "transformers"
    return None


def is_hub_folder(path: Path, owner: Owner) -> bool:
    """Whether a path is such a folder of that library's, or a file of it that stands for it."""
    folder = folder_of(path)
    file = folder and present(folder / CONFIG)
    if not file:
        return False
    try:
        return owner_of(read_json(file)) == owner
    except CamcliError:
        return False


def folder_of(path: Path) -> Path | None:
    """The folder that is meant: the path, or where its ``config.json`` or its weights lie."""
    if path.is_dir():
        return path
    return path.parent if path.name in (CONFIG, *_WEIGHTS) and path.is_file() else None


def open_folder(path: Path) -> HubFolder:
    """What is in a folder.

    Raises:
        UsageError: it has no network; says what it has instead.
        CamcliError: a file of it is damaged, or names one that is not there.
    """
    folder = folder_of(path)
    file = folder and present(folder / CONFIG)
    if folder is None or file is None:
        raise UsageError(f"{path} has no {CONFIG}, which says whose network it is.")
    config = read_json(file)
    owner = owner_of(config)
    if owner is None:
        raise UsageError(
            f"{file} is neither transformers' (model_type, architectures) nor timm's "
            "(architecture)."
        )
    return HubFolder(folder, owner, config, _weights(folder))


def _weights(folder: Path) -> tuple[Path, ...]:
    for name in _WEIGHTS:
        if file := present(folder / name):
            return (file,)
        if index := present(folder / f"{name}.index.json"):
            return tuple(_shards(folder, index))
    for name, what in _OTHERS.items():
        if present(folder / name):
            raise UsageError(
                f"{folder} holds {what}: save the network itself there, "
                "model.save_pretrained(FOLDER)."
            )
    raise UsageError(f"{folder} has no {' and no '.join(_WEIGHTS)}: the weights are missing.")


def _shards(folder: Path, index: Path) -> Iterable[Path]:
    for name in shard_names(read_json(index), index):
        if (file := present(folder / name)) is None:
            raise CamcliError(f"{index} names {name}, which is not in {folder}: copy it there.")
        yield file


def shard_names(index: Mapping[str, Any], path: Path) -> list[str]:
    """The files that an index names, each once; only such as lie beside it.

    Raises:
        CamcliError: it names none, or what is no plain name.
    """
    table = index.get("weight_map")
    named = list(table.values()) if isinstance(table, dict) else []
    # What is no text is no name, and may not even be comparable.
    names = list(dict.fromkeys(n if isinstance(n, str) else f"{n!r:.80}/" for n in named))
    if not names:
        raise CamcliError(f"{path} is damaged: it names no files of weights.")
    for name in names:
        if not _FILE_NAME.fullmatch(name) or ".." in name:
            raise CamcliError(f"{path} names {printable(str(name)[:80])}, which is no file's name.")
    return names


def check_folder(path: Path) -> HubFolder:
    """Refuse a folder that cannot be loaded, as far as that shows without torch.

    Raises:
        UsageError: as `open_folder`, or the network tells no classes.
        UnavailableError: the library that it needs is not installed.
        CamcliError: as `open_folder`, or its weights are damaged.
    """
    found = open_folder(path)
    for file in found.weights:
        recognise(file)
    if found.owner == "transformers":
        check_config(found)
        if importlib.util.find_spec("transformers") is None:
            raise UnavailableError(
                f"{path} is a network of transformers, which is not installed: "
                "`pip install 'camcli[hf]'` brings it."
            )
    return found


def check_config(found: HubFolder) -> None:
    """Refuse what is no classifier of pictures, or needs code or kernels of somebody else's.

    Raises:
        UsageError: it is such.
    """
    config = found.config
    named = [str(name) for name in config.get("architectures") or ()]
    if config.get("quantization_config"):
        raise UsageError(
            f"{found.path} holds quantised weights, which are not read here: save the network "
            "in float32."
        )
    if named and not any("ForImageClassification" in name for name in named):
        kind = named[0]
        raise UsageError(
            f"{found.path} holds a {printable(kind)}, which has no classes: a "
            "...ForImageClassification with a head that was trained is needed."
        )
    if not named and not config.get("id2label"):
        raise UsageError(
            f"{found.path / CONFIG} does not say which class of transformers it is: add "
            '"architectures": ["...ForImageClassification"].'
        )


# --- the hub ------------------------------------------------------------------------------------


def check_name(name: str) -> tuple[str, str | None]:
    """``hf:owner/name`` or ``hf:owner/name@revision`` as repository and revision.

    Raises:
        UsageError: it is not well-formed.
    """
    found = _REPOSITORY.fullmatch(name.removeprefix(HUB))
    if found is None or ".." in name:
        raise UsageError(
            f"--model {printable(name)}: a network on Hugging Face's hub is written "
            f"{HUB}owner/name, or {HUB}owner/name@revision."
        )
    return f"{found[1]}/{found[2]}", found[3]


def check_hub(asked: AskedModel) -> None:
    """Refuse ``hf:owner/name`` that cannot be loaded, as far as that shows without torch.

    Raises:
        UsageError: it is not well-formed, or is given weights besides.
        UnavailableError: it is not here, and must not be fetched.
    """
    check_name(asked.name)
    refuse_weights(asked)
    if is_offline(asked.offline):
        check_folder(located(asked.name, offline=True))


def refuse_weights(asked: AskedModel) -> None:
    """Refuse weights beside a network that brings its own.

    Raises:
        UsageError: there are such.
    """
    if asked.weights is not None or asked.weights_key:
        raise UsageError(
            f"--model {asked.name} brings its own weights: leave --weights and --weights-key out."
        )


def located(name: str, *, offline: bool = False) -> Path:
    """The folder of ``hf:owner/name`` on this machine, fetched if need be and allowed.

    Raises:
        UnavailableError: it is not here and cannot be fetched.
        UsageError: the name is not well-formed.
    """
    repository, revision = check_name(name)
    own = f"hf--{repository.replace('/', '--')}" + (
        f"--{revision.replace('/', '--')}" if revision else ""
    )
    if (path := _here(repository, revision, own)) is not None:
        return path
    places = " and ".join(["Hugging Face's cache", *(str(p / own) for p in search_dirs())])
    address = f"{_endpoint()}/{repository}"
    way = (
        f"With a network, `hf download {repository}` brings it into the cache; or copy "
        f"{CONFIG}, {PROCESSOR} and model.safetensors from {address} into a folder, and give that."
    )
    if is_offline(offline):
        raise UnavailableError(
            f"{name} is not here, and the network was not to be used. Looked in {places}. {way}"
        )
    try:
        return _fetched(name, repository, revision or "main", search_dirs()[0] / own)
    except UnavailableError as error:
        raise UnavailableError(
            f"{name} is not here and could not be fetched: {str(error).rstrip('.')}. Looked in "
            f"{places}. {way}"
        ) from error


def _here(repository: str, revision: str | None, own: str) -> Path | None:
    """A whole copy on this machine."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, CONFIG, revision=revision)
    folders = [Path(cached).parent] if isinstance(cached, str) else []
    for folder in [*folders, *(place / own for place in search_dirs())]:
        try:
            if present(folder / CONFIG) and _weights(folder):
                return folder
        except CamcliError:  # half of it
            continue
    return None


def _fetched(name: str, repository: str, revision: str, folder: Path) -> Path:
    """All that a network needs, of one state of its repository.

    Raises:
        UnavailableError: it is not to be had.
        UsageError: there is no network in it that is read here.
    """
    about = fetch(
        WeightFile(
            name, "about.json", f"{_endpoint()}/api/models/{repository}/revision/{revision}"
        ),
        folder,
    )
    facts = read_json(about)
    state = facts.get("sha")
    state = state if isinstance(state, str) and re.fullmatch(r"[0-9a-f]{40}", state) else revision
    there = {
        str(each.get("rfilename")) for each in facts.get("siblings") or () if isinstance(each, dict)
    }

    def get(file: str) -> Path:
        url = f"{_endpoint()}/{repository}/resolve/{state}/{file}"
        return fetch(WeightFile(name, file, url), folder)

    if CONFIG not in there:
        raise UsageError(f"{name} has no {CONFIG}, and so no network that is read here.")
    if PROCESSOR in there:
        get(PROCESSOR)
    for weights in _WEIGHTS:
        if weights in there:
            get(weights)
            break
        if f"{weights}.index.json" in there:
            index = get(f"{weights}.index.json")
            for shard in shard_names(read_json(index), index):
                get(shard)
            break
    get(CONFIG)  # last: what has it is whole
    about.unlink(missing_ok=True)
    _weights(folder)
    return folder


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def joint_sha256(digests: Iterable[str]) -> str:
    """One sha256 for several files: that of theirs, one a line; of a single file its own."""
    each = list(digests)
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()
