"""What a network takes images to be made of: what ``camcli concepts`` is asked, and does."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.data.sources.find import Images, find_images
from camcli.errors import UsageError, of_image, stage
from camcli.jobs.model import ModelJob, loaded
from camcli.jobs.output_paths import (
    picture_files,
    refuse_existing,
    refuse_file,
    refuse_inputs,
    write_picture,
)
from camcli.printable import printable
from camcli.render.ranges import check_picture
from camcli.settings import Settings
from camcli.spreadsheet import cell
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.batch.concepts import Concept, ConceptsFound, InImage
    from camcli.data.sources.refs import ImageRef
    from camcli.models.classifier import Classifier

MOST = 8
"""Concepts of one answer: as many as have colours that are told apart."""


TABLE = "concepts.csv"
"""What each concept speaks for, beside the pictures."""


@dataclass(frozen=True, slots=True)
class ConceptPictures:
    """The concepts that were found, and the pictures of them.

    Attributes:
        found: the concepts, and each image's.
        layer: where they were found.
        written: the picture of each image that has one, by its relative path.
        undrawn: why an image has none although its concepts are known, likewise.
        table: the file of what the concepts speak for; None where no folder was asked for, or no
            concept was found.
    """

    found: ConceptsFound
    layer: str
    written: dict[str, Path]
    undrawn: dict[str, str]
    table: Path | None = None

    @property
    def errors(self) -> list[str]:
        """What went wrong, a sentence an image."""
        unread = [image.result.error or "" for image in self.found.images if image.maps is None]
        return [*unread, *self.undrawn.values()]


@dataclass(frozen=True, slots=True)
class ConceptsJob(Settings):
    """Images whose concepts are to be found, all together.

    Attributes:
        images: what `camcli.data.sources.find.find_images` takes.
        network: which network; one that is loaded already will do, but cannot be pickled.
        out: folder of the pictures, and of `TABLE`; None for neither.
        number: how many concepts, 1 to 8.
        alpha: weight of the colours over the photograph, 0 to 1.
        max_size: longest side of the photograph in a picture, in pixels; None keeps it.
        quality: of the JPEG, 1 to 100.
        overwrite: replace pictures that exist already.
    """

    images: Images
    network: ModelJob | Classifier = field(default_factory=ModelJob)
    out: Path | None = None
    number: int = 5
    alpha: float = 0.6
    max_size: int | None = None
    quality: int = 90
    overwrite: bool = False

    def check(self) -> None:
        """Refuse, without torch and before images are looked for, what cannot be meant.

        Raises:
            UsageError: an unknown name, a number out of range, or several layers.
            CamcliError: a file that holds no weights.
        """
        if not 1 <= self.number <= MOST:
            raise UsageError(f"--number is 1 to {MOST} concepts, not {self.number}.")
        check_picture(self.alpha, self.max_size, 0, self.quality)
        if isinstance(self.network, ModelJob):
            if "," in self.network.layer:
                raise UsageError("Concepts are found at one layer: give --layer one name.")
            self.network.check()

    def find(self, listener: Listener | None = None) -> tuple[list[ImageRef], list[Path]]:
        """The images, and free names for their pictures, if there are to be some.

        Args:
            listener: told what was left out.

        Raises:
            UsageError: there are no images, or a picture's file is there already, or an image.
        """
        listener = listener or LogListener()
        with listener.slow("Looking for images ..."):
            source = find_images(self.images)
            refs = list(source)
        if source.left_out:
            listener.say(source.left_out.note())
        if self.out is None:
            return refs, []
        refuse_file(self.out)
        files = picture_files([ref.rel for ref in refs], self.out, "concepts")
        refuse_inputs(files, [ref.path for ref in refs])
        if not self.overwrite:
            for file in [*files, self.out / TABLE]:
                refuse_existing(file)
        return refs, files

    def run(
        self,
        found: tuple[list[ImageRef], list[Path]] | None = None,
        classifier: Classifier | None = None,
        listener: Listener | None = None,
    ) -> ConceptPictures:
        """Find the concepts, and draw them.

        Args:
            found: of `find`; by default the images are looked for.
            classifier: what `network` is once it is loaded; by default it is loaded.
            listener: told what is found out on the way.

        Raises:
            UsageError: as `check` and `find` do.
            UnavailableError: the weights are not on this machine.
        """
        listener = listener or LogListener()
        if found is None:
            self.check()
            found = self.find(listener)
        refs, files = found
        from camcli.batch.concepts import find_concepts

        classifier = classifier or loaded(self.network, listener)
        made = find_concepts(refs, classifier, self.number)
        written: dict[str, Path] = {}
        undrawn: dict[str, str] = {}
        for image, file in zip(made.images, files, strict=False):  # no files where none are asked
            rel = image.result.ref.rel
            if image.maps is None:
                continue
            try:
                self._write(image, file, made.concepts)
            except Exception as error:  # of this picture
                undrawn[rel] = str(of_image(error, printable(image.result.ref.path)))
            else:
                written[rel] = file
        table = None
        if self.out is not None and made.concepts:
            table = self.out / TABLE
            write_picture(table, _csv(made.concepts).encode("utf-8", "surrogateescape"))
        return ConceptPictures(made, classifier.layer, written, undrawn, table)

    def _write(self, image: InImage, file: Path, concepts: Sequence[Concept]) -> None:
        from camcli.data.decode.images import load_image
        from camcli.render.concepts import draw_concepts
        from camcli.render.picture import encode_jpeg
        from camcli.render.sizes import drawable, shrink

        assert image.maps is not None
        with stage("draw"):
            rgb = drawable(shrink(load_image(image.result.ref), self.max_size))
            words = [concept.words() for concept in concepts]
            picture = draw_concepts(rgb, image.result, image.maps, words, alpha=self.alpha)
        with stage("encode"):
            data = encode_jpeg(picture, self.quality)
        with stage("write"):
            write_picture(file, data)


def _csv(concepts: Sequence[Concept]) -> str:
    """A row a concept and a class that it speaks for, the strongest first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["concept", "strength", "class", "score"])
    for number, concept in enumerate(concepts, start=1):
        for name, score in concept.classes:
            writer.writerow([number, f"{concept.strength:.6f}", cell(name), f"{score:.6f}"])
    return text.getvalue()
