"""A network that says how different photographs are from others: ``--against FOLDER``.

What the references look like is found once and kept beside other features, in the folder
``references`` of ``$CAMCLI_CACHE``: by the contents of the photographs, the weights, the layer and
the preprocessing, so that whatever changes is looked at again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.data.sources.find import Images, find_images
from camcli.errors import UsageError
from camcli.jobs.reference_copies import SavedAgain, members_of, tell_copies
from camcli.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from camcli.data.sources.refs import ImageRef
    from camcli.models.classifier import Classifier
    from camcli.models.reference.kept import KeptReferences

log = logging.getLogger(__name__)
_FORMAT = 2


def words_of(against: Images) -> str:
    """The references in the user's words."""
    several = [against] if isinstance(against, str | Path) else against
    return " ".join(map(str, several))


def check_against(
    against: Images,
    layer: str,
    *,
    output: str = "auto",
    threshold: object = None,
    native_predictions: bool = False,
) -> None:
    """Refuse, without torch, what no photograph can be compared with.

    Args:
        against: the references: a folder, a glob, ``@list.txt`` or a list.
        layer: where the features are taken that are compared.
        output: what the network is said to return, which is not asked; so are the other two.
        threshold: see `output`.
        native_predictions: see `output`.

    Raises:
        UsageError: there are no photographs, several layers are named, or something is said of
            what the network itself predicts.
    """
    beside = [
        name
        for name, chosen in (
            ("--output", output != "auto"),
            ("--threshold", threshold is not None),
            ("--native-predictions", native_predictions),
        )
        if chosen
    ]
    if beside:
        raise UsageError(
            "--against asks how different photographs are and not what the network says: leave "
            f"{' and '.join(beside)} out."
        )
    if "," in layer:
        raise UsageError("--against compares at one layer: name one with --layer.")
    if words_of(against) == "-":
        raise UsageError("--against names photographs that are there: a folder, not a pipe.")
    try:
        find_images(against, labels="none")
    except UsageError as error:
        raise UsageError(f"--against: {error}") from error


def elsewhere(against: Images) -> Images:
    """The same for another folder."""
    if isinstance(against, str | Path):
        return _absolute(str(against))
    return [_absolute(str(each)) for each in against]


def _absolute(text: str) -> str:
    if "://" in text:
        return text
    at = "@" * text.startswith("@")
    return f"{at}{Path(text[len(at) :]).absolute()}"


def compared_with(
    classifier: Classifier,
    against: Images,
    *,
    say: Callable[[str], None] = log.info,
    warn: Callable[[str], None] = log.warning,
) -> Classifier:
    """The network whose one number is how different a photograph is from the references.

    Args:
        classifier: whose features; cut at one layer.
        against: the references: a folder, a glob, ``@list.txt`` or a list.
        say: told how many there are.
        warn: told which cannot be read, and where they are few.

    Raises:
        UsageError: there are too few that can be read, or all are the same to the network.
    """
    from camcli.models.reference import kept
    from camcli.models.reference.compared import References, check_one_layer, compared
    from camcli.models.reference.usual import ENOUGH
    from camcli.train.feature_pass.features import hash_files

    check_one_layer(classifier.layer)
    refs = list(find_images(against, labels="none"))
    contents = hash_files([ref.path for ref in refs] if _on_disk(refs) else refs)
    # A photograph that is held against its own copy looks usual, and so does whatever is like it.
    if copies := len(refs) - len(alone := dict(zip(contents, refs, strict=True))):
        warn(f"--against has {counted(copies, 'copy', 'copies')} of photographs: left out.")
        contents, refs = list(alone), list(alone.values())
    digest = hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()
    name = _name(classifier, digest)
    members = members_of(refs, contents)
    if classifier.preprocess.fit == "crop":
        say(
            "Only the middle of each photograph is compared, as the network was trained: "
            "--fit squash compares all of it."
        )
    # In the order of their contents: a renamed photograph changes nothing.
    refs = [ref for _, ref in sorted(zip(contents, refs, strict=True), key=lambda one: one[0])]
    photos = tuple(refs)
    found = kept.read(name) if name else None
    if found is None:
        say(f"Looking at {counted(len(refs), 'photograph')} to compare with ...")
        found, photos = _found(classifier, refs, warn)
        if name and len(photos) == len(refs):  # what could not be read may be there next time
            kept.keep(name, found)
    tell_copies(photos, found.groups.tolist(), found.compared, warn)
    usual = found.usual
    if usual.count < ENOUGH:
        warn(
            f"--against has {counted(usual.count, 'photograph')}: how unusual a difference is can "
            f"be told from {ENOUGH} on, and well from 100."
        )
    references = References(
        words_of(against), usual.count, digest, members, photos, found.smalls.numpy()
    )
    return compared(classifier, usual, references)


def _on_disk(refs: list[ImageRef]) -> bool:
    return all(Path(ref.path).is_file() for ref in refs)


def _found(
    classifier: Classifier, refs: list[ImageRef], warn: Callable[[str], None]
) -> tuple[KeptReferences, tuple[ImageRef, ...]]:
    """What is found of references, and those of them that could be looked at."""
    from camcli.batch.references import features_of
    from camcli.models.reference.kept import KeptReferences
    from camcli.models.reference.usual import FEWEST, fit_usual

    again = SavedAgain(refs)
    failed: dict[int, str] = {}
    first = again.through(features_of(classifier, refs, failed, note=again.note))
    # Those that failed are known once all have been looked at, and left out of the second look.
    seen = _Again(classifier, refs, failed)
    try:
        usual = fit_usual(first, seen)
        return KeptReferences(usual, *again.look(failed)), again.photos
    except UsageError as error:
        if failed and len(refs) - len(failed) < FEWEST:
            raise UsageError(f"{error} The first that fails: {next(iter(failed.values()))}") from (
                error
            )
        raise
    finally:
        for text in list(failed.values())[:3]:
            warn(f"--against leaves one out: {text}")
        if len(failed) > 3:
            warn(f"--against leaves {len(failed) - 3} more out.")


class _Again:
    """The features of what did not fail, looked at when they are asked for."""

    def __init__(
        self, classifier: Classifier, refs: list[ImageRef], failed: dict[int, str]
    ) -> None:
        self._classifier, self._refs, self._failed = classifier, refs, failed

    def __iter__(self) -> Any:
        from camcli.batch.references import features_of

        good = [ref for i, ref in enumerate(self._refs) if i not in self._failed]
        return features_of(self._classifier, good, {})


def _name(classifier: Classifier, digest: str) -> str | None:
    """What is found is kept by it; None where nothing says which network it is of."""
    provenance = classifier.provenance
    if provenance.sha256 is None or provenance.source == "user":
        return None
    about = {
        "format": _FORMAT,
        "photographs": digest,
        "weights": provenance.to_dict() | {"notes": None},
        "layer": classifier.layer,
        "preprocess": classifier.preprocess.to_dict(),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
