"""Where a network that is named comes from; told without torch.

Another kind is a file with a function like those that `ModelSource.home` names, and its entry in
`SOURCES`, before torchvision, which takes whatever name is left. What is said of ``--model`` in
help, completion and messages comes from here. (A checkpoint of ``camcli train`` is none of them:
it is asked for by ``--checkpoint``, names one of these for its backbone, and brings its own head.)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.models import spec
from camcli.models.weights.bundled_file import BUNDLED, check_bundled

if TYPE_CHECKING:  # torch, and numpy
    from camcli.data.decode.preprocess import Preprocess
    from camcli.data.decode.preprocess_said import Said
    from camcli.models.loading.builder import BuiltModel


@dataclass(frozen=True)
class AskedModel:
    """What is asked of a source.

    Attributes:
        name: as the user wrote it.
        weights: None for the network's own; a file, the name of a set, or ``random``.
        weights_key: which of several sets in a file of `weights`.
        classes: the class names, None for the weights' own.
        offline: never touch the network.
        input_size: side of the input that a network of one's own is tried at.
        preprocess: how it wants its pixels, in the user's words or code; None for what it says
            itself.
        output: what it returns; None to find out.
        trust_pickle: whether code that its file names may run.
    """

    name: str
    weights: str | Path | None = None
    weights_key: str | None = None
    classes: tuple[str, ...] | None = None
    offline: bool = False
    input_size: int | None = None
    preprocess: Said | None = None
    output: spec.OutputKind | None = None
    trust_pickle: bool = False

    def preprocessed(self, own: Preprocess) -> Preprocess:
        """What would be assumed, with what the user says.

        Raises:
            UsageError: that cannot be read.
        """
        if self.preprocess is None:
            return own
        from camcli.data.decode.preprocess_said import read_said

        return read_said(self.preprocess, own).preprocess


@dataclass(frozen=True)
class ModelSource:
    """One kind of name.

    Attributes:
        name: what it is, in a word.
        written: how a user writes a name of it, for ``--help``.
        claims: whether a name is one of its, by how it is written; the first that says yes has it.
        check: raises `UsageError` for a name that it cannot have, or `UnavailableError` for a
            package that is not here, as far as that shows without importing anything heavy.
        home: ``module:function`` that makes a `BuiltModel` of an `AskedModel`; imported then.
        names: what the shell may complete, from what was begun.
    """

    name: str
    written: str
    claims: Callable[[str], bool]
    check: Callable[[AskedModel], None]
    home: str
    names: Callable[[str], Iterable[str]] = lambda begun: ()

    def build(self, asked: AskedModel) -> BuiltModel:
        """The network with its weights, still as its library left it."""
        module, _, function = self.home.partition(":")
        built: BuiltModel = getattr(importlib.import_module(module), function)(asked)
        return built


def _timm(begun: str) -> Iterable[str]:
    if not begun.startswith(spec.TIMM):
        return [spec.TIMM]  # names by the thousand, which few want
    return [spec.TIMM + name for name in spec.timm_names()]


def _check_file(asked: AskedModel) -> None:
    # By name: a form builds on this room, and not the other way round.
    importlib.import_module("camcli.models.forms.registry").check(asked)


def _check_hub(asked: AskedModel) -> None:
    importlib.import_module("camcli.models.forms.hub.folder").check_hub(asked)


SOURCES: tuple[ModelSource, ...] = (
    ModelSource(
        name="bundled",
        written=f"the bundled [bold]{spec.BUNDLED}[/] (needs no network)",
        claims=lambda name: name in BUNDLED,
        check=lambda asked: check_bundled(asked.name, asked.weights),
        home="camcli.models.loading.named.bundled:build",
        names=lambda begun: BUNDLED,
    ),
    ModelSource(
        name="timm",
        written="timm:NAME",
        claims=lambda name: name.startswith(spec.TIMM),
        check=lambda asked: spec.check_timm(asked.name),
        home="camcli.models.loading.named.timm_zoo:build_timm",
        names=_timm,
    ),
    ModelSource(
        name="hugging face",
        written="hf:owner/name on Hugging Face's hub",
        claims=lambda name: name.startswith(spec.HUB),
        check=_check_hub,
        home="camcli.models.forms.hub.huggingface:build_of_hub",
        names=lambda begun: [spec.HUB],
    ),
    ModelSource(
        name="own code",
        written="your own package.module:factory or FILE.py:FACTORY",
        claims=spec.is_own_code,
        check=lambda asked: spec.check_own_code(asked.name),
        home="camcli.models.loading.own.code:build",
    ),
    ModelSource(
        name="file",
        written="a file or folder with a trained network",
        claims=spec.is_path,
        check=_check_file,
        home="camcli.models.forms.registry:build",
    ),
    ModelSource(
        name="torchvision",
        written="a torchvision name such as resnet50",
        claims=lambda name: True,
        check=lambda asked: spec.check_torchvision(asked.name),
        home="camcli.models.loading.named.torchvision_zoo:build_torchvision",
        names=lambda begun: spec.torchvision_names(),
    ),
)


def source_of(name: str) -> ModelSource:
    """Whose name it is."""
    return next(source for source in SOURCES if source.claims(name))


def check_model(name: str) -> None:
    """Refuse a name that no source has.

    Raises:
        UsageError: it is none, or not well-formed; names the nearest.
        UnavailableError: it is the name of a network whose package is not installed.
    """
    check_asked(AskedModel(name))


def check_asked(asked: AskedModel) -> None:
    """Refuse what no source can build, as far as that shows without torch.

    Raises:
        UsageError: a name that none has, or what is asked beside it means nothing.
        UnavailableError: a network whose package is not installed.
        CamcliError: a file that is damaged, or holds no network.
    """
    source_of(asked.name).check(asked)


def names(begun: str) -> list[str]:
    """Names that the shell may complete."""
    return [name for source in SOURCES for name in source.names(begun)]


def ways_to_write() -> str:
    """How networks are named, for ``--help``."""
    ways = [source.written for source in SOURCES]
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
