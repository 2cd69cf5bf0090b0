"""A file of tensors by name: the architecture is recognised by their names and shapes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from camcli.data.decode.preprocess_words import described
from camcli.errors import UsageError
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel
from camcli.models.loading.named.timm_zoo import timm_of_file
from camcli.models.loading.named.torchvision_zoo import torchvision_of_file
from camcli.models.loading.own.learned_inputs import as_learned
from camcli.models.loading.sources import AskedModel
from camcli.models.recognition.index import Architecture, shipped
from camcli.models.recognition.recognise import Recognised, near, nearest, recognise
from camcli.models.weights.files import read_candidates
from camcli.models.weights.mismatch import listed
from camcli.models.weights.state_dict import Candidate, Candidates
from camcli.printable import counted

# Of an optimizer's state, every tensor's part would be a set of its own.
_MOST_SETS = 8
_MOST_NAMED = 4
_MOST_TRIED = 3


def build(asked: AskedModel) -> BuiltModel:
    """The network that a state dict belongs to.

    Raises:
        UsageError: the tensors are of no architecture that is known, or their head leaves open what
            it is.
    """
    path = path_of(asked.name)
    found, digest = read_candidates(path, trust=asked.trust_pickle)
    answers = _answers(found, asked.weights_key)
    if not answers:
        return _of_another_version(asked, found, digest, path)
    first = answers[0].architecture
    make = torchvision_of_file if first.library == "torchvision" else timm_of_file
    built = make(first.written, found, digest, path, asked.classes, asked.weights_key)
    here = answers[0].prefix
    others = [each.architecture for each in answers[1:] if each.prefix == here]
    apart = next((each for each in answers[1:] if _apart(each.prefix, here)), None)
    notes = [
        f"{path}: {first.told} with {_outputs(built)}, recognised by the "
        f"names and shapes of its tensors{_also(first, others, asked.name)}."
    ]
    if apart is not None:
        notes.append(
            f"{path}: {apart.architecture.told} is in there as well, under {apart.prefix[:-1]!r}; "
            f"{here[:-1]!r} is taken, and --model {apart.architecture.written} --weights "
            f"{asked.name} takes the other."
        )
    return _told(built, asked, first, notes)


def _outputs(built: BuiltModel) -> str:
    """How many classes it has; one output may be two of them, or a value."""
    last = list(built.module.parameters())[-1]
    if len(built.classes) == 2 and last.shape[:1] == (1,):
        return "one output"
    return counted(len(built.classes), "class", "classes")


def _apart(one: str, other: str) -> bool:
    """Whether two parts of a file are neither within the other."""
    return not one.startswith(other) and not other.startswith(one)


def _told(
    built: BuiltModel, asked: AskedModel, first: Architecture, notes: Sequence[str]
) -> BuiltModel:
    """With what a user should know."""
    path = path_of(asked.name)
    notes = list(notes)
    if asked.preprocess is not None and built.provenance.source == "user":
        said = described(asked.preprocessed(built.preprocess))
        notes.append(f"{path}: {said}, as --preprocess says and {first.name} is used.")
    elif built.provenance.source == "user":
        preprocess, learned = as_learned(built.module, built.preprocess, asked.input_size, False)
        built = replace(built, preprocess=preprocess)
        notes.append(
            learned
            or f"{path}: {described(built.preprocess)} ASSUMED, as {first.name} is used; "
            "--preprocess says otherwise."
        )
    made = replace(
        built.provenance, name=asked.name, notes=(*notes, *built.provenance.notes)
    )  # fmt: skip
    return replace(built, provenance=made)


def _of_another_version(
    asked: AskedModel, found: Candidates, digest: str, path: Path
) -> BuiltModel:
    """The network, if timm knows the tensors' names: its earlier versions', or the authors' own.

    Raises:
        UsageError: it does not.
    """
    candidate = _sets(found, asked.weights_key)[0]
    shapes = {n: tuple(t.shape) for n, t in candidate.tensors.items()}
    for look in near(shapes, "timm", _MOST_TRIED):
        # timm finds out from the names which they are, so nothing may stand in front of them.
        inner = OrderedDict(
            (name.removeprefix(look.prefix), tensor)
            for name, tensor in candidate.tensors.items()
            if name.startswith(look.prefix) and name not in look.beside
        )
        alone = replace(found, each=(Candidate(candidate.key, inner),))
        each = look.architecture
        try:
            built = timm_of_file(each.written, alone, digest, path, asked.classes, None)
        except UsageError:
            continue
        note = (
            f"{path}: {each.told} with {_outputs(built)}, "
            "recognised by its tensors, whose names are another version's."
        )
        return _told(built, asked, each, [note])
    raise UsageError(_unknown(found, asked.weights_key))


def _answers(found: Candidates, key: str | None) -> list[Recognised]:
    """What the tensors are of: of the first set, by size, that is of anything."""
    for candidate in _sets(found, key):
        if answers := recognise({n: tuple(t.shape) for n, t in candidate.tensors.items()}):
            return answers
    return []


def _sets(found: Candidates, key: str | None) -> Sequence[Candidate]:
    chosen = found.named(key) if key else ()
    return sorted(chosen or found.each, key=lambda each: -len(each.tensors))[:_MOST_SETS]


def _also(first: Architecture, others: Sequence[Architecture], name: str) -> str:
    """What the tensors would fit as well."""
    if not others:
        return ""
    told = [
        each.written
        + (f" ({difference})" if (difference := _otherwise(first, each, others)) else "")
        for each in others
    ]
    more = f", ... {len(told)} in all" if len(told) > _MOST_NAMED else ""
    return (
        f"; these tensors also fit {', '.join(told[:_MOST_NAMED])}{more}: --model NAME --weights "
        f"{name} takes one of them"
    )


def _otherwise(first: Architecture, each: Architecture, others: Sequence[Architecture]) -> str:
    """In what an architecture with the same tensors differs from the one that is taken."""
    # Digests are of modules by their classes, so they can be compared within a library only.
    same = next((one for one in (first, *others) if one.library == each.library), each)
    if each.computing != same.computing:
        return "computes otherwise"
    if each.size != first.size:
        return f"for {each.size} pixels"
    return "other mean and std" if each.norm != first.norm else ""


def _unknown(found: Candidates, key: str | None) -> str:
    """That the tensors are of no known network, what is near, and how to go on."""
    index = shipped()
    shapes = {n: tuple(t.shape) for n, t in _sets(found, key)[0].tensors.items()}
    versions = index.versions
    said = (
        f"{found.origin} is not one of torchvision's or timm's: by the names and shapes of its "
        f"{counted(len(shapes), 'tensor', 'tensors')} it is none of the {len(index.architectures)} "
        f"classifiers of torchvision {versions['torchvision']} and timm {versions['timm']}."
    )
    near = nearest(shapes)
    if near is not None:
        odd = [
            f"{one.name} is {_shape(one.found)} and there {_shape(one.wanted)}" for one in near.odd
        ]
        said += f" The nearest is {near.architecture.told}, but {listed(odd)}."
    return (
        f"{said}\nIf its code is in a file, let a function there return the network: --model "
        f"FILE.py:FUNCTION --weights {found.origin}."
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "a scalar"
