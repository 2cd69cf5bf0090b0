"""One image or a few, looked at closely: what ``camcli explain`` is asked, and how it is done."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.cam.automatic import USUAL
from camcli.cam.method_facts import AUTO as AUTO_METHOD
from camcli.cam.scores import AUTO_SCORE
from camcli.data.sources.find import Images, find_images
from camcli.errors import UsageError, stage
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob, loaded
from camcli.jobs.output_paths import (
    name_of_asked,
    picture_files,
    refuse_existing,
    refuse_file,
    refuse_inputs,
    write_picture,
)
from camcli.jobs.reference_copies import tell_members
from camcli.models.runtime.registry import AUTO, check_runtime
from camcli.models.spec import BUNDLED, LAST, PYRAMID
from camcli.render.picture_files import SUFFIXES
from camcli.render.style import Style
from camcli.settings import Settings, check_types
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    import numpy as np

    from camcli.batch.explanation import Explanation
    from camcli.data.sources.refs import ImageRef
    from camcli.data.sources.source import Source
    from camcli.models.classifier import Classifier
    from camcli.result import Result

_BATCH = 8  # images in one forward pass


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images that were found, and where their pictures go.

    Attributes:
        refs: the images.
        files: one for each; None where no pictures are written.
        source: where they were found, if they were looked for.
    """

    refs: list[ImageRef]
    files: list[Path | None]
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class ExplainJob(Settings):
    """Images that are to be explained.

    Attributes:
        images: what `camcli.data.sources.find.find_images` takes.
        network: which network; one that is loaded already will do, but cannot be pickled.
        maps: method, target and their options.
        style: how pictures look.
        out: folder of the pictures, or a file such as cat.png for a single one; None for none.
        topk_files: with ``topk``: one picture for each class instead of one side by side.
        save_raw: also write NAME.npz beside each picture: the signed, unscaled maps.
        overwrite: replace pictures that exist already.
        runtime: what runs the network; None for whatever does.
    """

    images: Images
    network: ModelJob | Classifier = field(default_factory=ModelJob)
    maps: MapJob = field(default_factory=MapJob)
    style: Style = field(default_factory=Style)
    out: Path | None = None
    topk_files: bool = False
    save_raw: bool = False
    overwrite: bool = False
    runtime: str | None = AUTO

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "style", self.maps.drawn(self.style))
        if isinstance(self.network, ModelJob):
            object.__setattr__(self, "network", self.maps.looked_at(self.network))

    def check(self, listener: Listener | None = None) -> None:
        """Refuse, without torch and before images are looked for, what cannot be meant.

        Args:
            listener: told which of several classes of one name is meant.

        Raises:
            UsageError: an unknown name, a number out of range, or options that do nothing together.
            CamcliError: a file that holds no weights.
        """
        check_runtime(self.runtime or AUTO)
        with self.maps.blaming(self.network):
            self.maps.check(self.network, listener or LogListener(), signed=self.style.signed)
        if self.out is None and (self.save_raw or self.topk_files):
            raise UsageError("save_raw and topk_files are about pictures: give them an `out`.")

    def find(self, listener: Listener | None = None) -> Pictures:
        """The images, and free names for their pictures.

        Args:
            listener: told what was left out.

        Raises:
            UsageError: there are no images; or a picture's file is there already, one of the
                images, or one for several images.
        """
        listener = listener or LogListener()
        with listener.slow("Looking for images ..."):
            source = find_images(self.images)
            refs = list(source)
        if source.left_out:
            listener.say(source.left_out.note())
        return self.pictures(refs, source)

    def pictures(self, refs: list[ImageRef], source: Source | None = None) -> Pictures:
        """The same for images that are named already.

        Args:
            refs: the images.
            source: where they were found.

        Raises:
            UsageError: as `find`.
        """
        if self.out is None:
            return Pictures(refs, [None] * len(refs), source)
        methods = [job.options().method.name for job in self.maps.each()]
        known = isinstance(self.network, ModelJob) and self.network.is_bundled
        usual = [USUAL if name == AUTO_METHOD.name else name for name in methods]
        files = self._pictures(refs, usual, sure=known or AUTO_METHOD.name not in methods)
        return Pictures(refs, list(files), source)

    def _pictures(self, refs: list[ImageRef], methods: list[str], *, sure: bool) -> list[Path]:
        """Free names for pictures of these methods; `sure`: that it will be these.

        Raises:
            UsageError: as `find`.
        """
        assert self.out is not None
        files = self._files(self.out, [ref.rel for ref in refs], methods)
        refuse_inputs(files, [ref.path for ref in refs])
        if sure and not (self.overwrite or self._separate):
            for file in files:
                refuse_existing(file)
        return files

    def start(
        self,
        found: Pictures | None = None,
        classifier: Classifier | None = None,
        listener: Listener | None = None,
    ) -> Explaining:
        """Load what has not been loaded, and check what only the network knows.

        Args:
            found: of `find`; by default the images are looked for.
            classifier: what `network` is once it is loaded; by default it is loaded.
            listener: told what is found out on the way.

        Returns:
            What yields Results as it is iterated.

        Raises:
            UsageError: as `check` and `find` do; or there is no such class or layer.
            UnavailableError: the weights are not on this machine.
        """
        listener = listener or LogListener()
        if found is None:
            self.check(listener)
            found = self.find(listener)
        from camcli.batch.first_images import understood
        from camcli.batch.folder_order import renamed
        from camcli.models.runtime.policy import with_runtime

        with self.maps.blaming(self.network):
            classifier = classifier or loaded(self.network, listener)
        cut = self.network if self.maps.at_its_layer() else None
        if isinstance(cut, ModelJob) and (where := cut.chosen_layer(classifier)):
            listener.say(where)
        refs = found.refs
        classifier = understood(classifier, refs, listener.say, listener.warn)
        if found.source is not None:
            refs = renamed(found.source, refs, classifier, listener.say)
        tell_members(classifier, refs, listener.warn, listener.say)
        with self.maps.blaming(self.network):
            what = self.maps.explanation(classifier, signed=self.style.signed)
        self.maps.tell(what, self.network, classifier, listener)
        for told in (*(each.how.chosen for each in what.alone()), what.told):
            if told:
                listener.say(told)
        if self.runtime is not None:
            classifier = with_runtime(
                classifier, self.runtime, images=refs,
                passes=sum(one.how.passes(classifier) for one in what.alone()),
                warn=listener.warn, say=listener.say,
            )  # fmt: skip
        files = found.files
        if self.out is not None and any(one.how.chosen for one in what.alone()):
            methods = [one.method.name for one in what.alone()]
            files = list(self._pictures(found.refs, methods, sure=True))
        return Explaining(self, classifier, what, refs, files)

    @property
    def _separate(self) -> bool:
        """Whether each class gets a picture of its own."""
        return self.topk_files and self.maps.topk > 1

    def _files(self, out: Path, rels: list[str], methods: list[str]) -> list[Path]:
        """Where each image's picture goes; two images never share a name."""
        if out.suffix.lower() in SUFFIXES:
            if len(rels) > 1:
                raise UsageError(
                    f"{len(rels)} images do not fit into the one file {out}: name a folder."
                )
            return [out]
        refuse_file(out)
        return picture_files(rels, out, self._asked(methods), self.style.kind.suffix)

    def _asked(self, methods: list[str]) -> str:
        """What was asked besides the usual, as a part of a file's name."""
        maps, style = self.maps, self.style
        hows = [job.options() for job in maps.each()]
        how = hows[0]
        network = self.network if isinstance(self.network, ModelJob) else ModelJob()
        # Each of several methods takes what it knows of these.
        effort = {name: value for each in hows for name, value in each.options().items()}
        return name_of_asked(
            "_".join(dict.fromkeys(methods)),
            LAST if network.layer == PYRAMID else network.layer, maps.target, maps.versus,
            network.model != BUNDLED and network.model,
            *(Path(name).stem for name in (network.checkpoint, network.weights) if name),
            maps.score != AUTO_SCORE and maps.score, how.smooth, how.fuse != "mean" and how.fuse,
            *(["samples", effort["samples"]] if "samples" in effort else []),
            *(["channels", effort["channels"]] if "channels" in effort else []),
            *(["converge", f"{effort['converge']:g}"] if "converge" in effort else []),
            maps.topk > 1 and not self.topk_files and f"top{maps.topk}",
            network.fit, network.input_size and f"{network.input_size}px",
            network.native_predictions and "native",
            network.output != "auto" and network.output,
            network.threshold is not None and f"above-{_called(network.threshold)}",
            style.signed and "signed", style.panel and "panel", style.draw_box and "box",
            style.colormap != Style().colormap and style.colormap,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explaining:
    """Images on their way through a network; iterated once.

    Attributes:
        job: what was asked.
        classifier: as it runs.
        what: method and target.
        refs: the images, their labels as the network's classes are called.
        files: where their pictures go; None for none.
    """

    job: ExplainJob
    classifier: Classifier
    what: Explanation
    refs: list[ImageRef]
    files: list[Path | None]

    def __iter__(self) -> Iterator[tuple[Result, list[Path]]]:
        """Each image's Result, in their order, and the files that were written for it.

        An image that cannot be read, drawn or written is a Result that says so.
        """
        from camcli.batch.engine import stream
        from camcli.batch.explain import failed

        results = stream(self.refs, self.classifier, self.what, batch_size=_BATCH)
        for file, result in zip(self.files, results, strict=True):
            written: list[Path] = []
            try:
                if file is not None and result.status != "error":
                    self._write(result, file, written)
            except Exception as error:  # of this image; the next one may be well
                result, written = failed(result.ref, error), []
            yield result, written

    def _write(self, result: Result, file: Path, written: list[Path]) -> None:
        from camcli.data.decode.images import load_image

        with stage("decode"):
            rgb = load_image(result.ref)
        with stage("draw"):
            written += self._draw(rgb, result, file)
        if self.job.save_raw:
            for one in (result, *result.beside):
                name = f"{file.stem}_{one.method}.npz" if result.beside else f"{file.stem}.npz"
                if one.status != "error":
                    with stage("write"):
                        written.append(_save_raw(one, file.with_name(name), self.job.overwrite))

    def _draw(self, rgb: np.ndarray, result: Result, file: Path) -> list[Path]:
        from camcli.render.sizes import shrink

        style = self.job.style
        small = shrink(rgb, style.max_size)
        pictures = [(file, result)]
        if self.job._separate:
            pictures = [
                (file.with_stem(f"{file.stem}_{rank + 1}"), _of_class(result, rank))
                for rank in range(len(result.heats))
            ]
        for path, one in pictures:
            if not self.job.overwrite:
                refuse_existing(path)
            picture = style.draw(small, one)
            kind = SUFFIXES.get(path.suffix.lower(), style.kind)
            with stage("encode"):
                data = kind.encode(picture, style.quality)
            with stage("write"):
                write_picture(path, data)
        return [path for path, _ in pictures]


def _of_class(result: Result, rank: int) -> Result:
    """The same with the map of one of the explained classes alone, by each method."""
    return replace(
        result,
        heats=result.heats[rank : rank + 1],
        beside=tuple(_of_class(other, rank) for other in result.beside),
    )


def _called(threshold: float | str | Path) -> str:
    """A threshold, or a file of them, as a part of a file's name."""
    name = Path(str(threshold)).name
    return name.removesuffix(".csv")


def _save_raw(result: Result, path: Path, overwrite: bool) -> Path:
    import numpy as np

    if not overwrite:
        refuse_existing(path)
    name = "probs" if result.value is None else "values"
    numbers = [heat.prob if heat.value is None else heat.value for heat in result.heats]
    data = io.BytesIO()
    np.savez_compressed(
        data,
        heatmaps=np.stack([heat.heatmap for heat in result.heats]),
        targets=np.array([heat.index for heat in result.heats]),
        names=np.array([heat.target for heat in result.heats]),
        **{name: np.array(numbers, np.float32)},  # type: ignore[arg-type]
        view=np.array(result.view, np.float32),
        size=np.array([result.width, result.height]),
        method=np.array(result.method),
        layer=np.array(result.layer),
    )
    write_picture(path, data.getvalue())
    return path
