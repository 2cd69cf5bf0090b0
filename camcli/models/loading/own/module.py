"""What a network in memory says of itself, and what is found out by asking it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_files import of_timm
from camcli.data.decode.preprocess_said import read_said
from camcli.data.decode.preprocess_words import described, normalised
from camcli.data.decode.transforms import AsItIs, is_transform, starts_from_pictures
from camcli.errors import UsageError
from camcli.models.classes.names_file import read_class_names
from camcli.models.cutting.scores.answers import SCORES, Answering, shown_part
from camcli.models.loading.builder import BuiltModel, Provenance, name_outputs
from camcli.models.loading.own.input_size import try_out
from camcli.models.loading.own.learned_inputs import as_learned
from camcli.models.loading.own.normalisation import expected_values, normalised_inside
from camcli.models.loading.own.program import exported_network, scripted_network
from camcli.models.loading.own.quantised import with_gradients
from camcli.models.loading.own.wrappers import ready
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.state_dict import Candidates


@dataclass(frozen=True)
class Told:
    """What a network says of its preprocessing.

    Attributes:
        preprocess: what is known; the usual ImageNet preprocessing where nothing is.
        sized: whether the size of its input is known.
        coloured: whether mean and std are.
        note: what a user should know of where it comes from.
    """

    preprocess: Preprocess
    sized: bool = False
    coloured: bool = False
    note: str = ""


def of_module(
    module: nn.Module, asked: AskedModel, made: Provenance, weights: Candidates | None = None
) -> BuiltModel:
    """A network that was made outside of camcli, with its classes and its preprocessing.

    It may say more about itself: its ``classes`` (names), its ``preprocess`` (a `Preprocess`, a
    transform of torchvision, a dict, or words as ``--preprocess`` takes them), or timm's
    ``pretrained_cfg``; else the usual ImageNet preprocessing is assumed, and that is said. Where
    its own forward normalises, it gets the pixels that it expects.

    Args:
        module: the network, camcli's own to change.
        asked: what the user said of it.
        made: where it comes from.
        weights: the file that its weights are from, which may name the classes.

    Raises:
        UsageError: it does not take pictures, the classes that were named are not as many, or its
            ``preprocess`` is nothing that is known.
        CamcliError: it fails, or what it returns is no logits.
    """
    name, classes = asked.name, asked.classes
    module, changed = ready(exported_network(module), name)
    module = with_gradients(module)
    told = own_preprocess(module, name)
    if asked.preprocess is not None:
        said = read_said(asked.preprocess, told.preprocess)
        told = Told(
            said.preprocess, told.sized or said.sized, told.coloured or said.coloured, told.note
        )
    sized = told.sized or asked.input_size is not None
    own = getattr(module, "classes", None)
    if classes is None and isinstance(own, (list, tuple)):
        classes = read_class_names(own)
    found = try_out(module, told.preprocess, name, asked.input_size, free=not sized)
    preprocess, inside = found.preprocess, ""
    named = ""
    if classes is None and weights is not None:
        classes, named = weights.classes(found.outputs)
    network = scripted_network(module, preprocess.with_(size=asked.input_size).shape)
    if found.part and network is module:
        network = Answering(module, found.part)
    module = network
    if part := found.part or getattr(module, "meta", {}).get(SCORES, ""):
        changed.append(f"Its scores are {shown_part(part)} of what it returns.")
    plain, note = _of_its_forward(module, preprocess, asked.input_size)
    if plain is not None and not told.coloured:
        preprocess, inside = plain, note
    elif plain is not None and _again(preprocess, plain):
        inside = (
            f"{note.partition(':')[0]}, and pictures are normalised before: twice. If that is "
            "wrong: --preprocess none."
        )
    elif plain is None:
        preprocess, inside = as_learned(module, preprocess, asked.input_size, told.coloured)
    known = told.coloured or plain is not None or bool(inside)
    only = _shown(preprocess, asked) if found.sized else ""
    notes = (
        *changed,
        named,
        told.note,
        inside,
        only and f"It takes pictures of {only} only.",
        _assumed(preprocess, asked, sized or found.sized, known),
        "" if sized else found.doubt(),
    )
    made = replace(made, notes=(*made.notes, *(note for note in notes if note)))
    return BuiltModel(module, name_outputs(classes, found.outputs, name), preprocess, made)


def _of_its_forward(
    module: nn.Module, preprocess: Preprocess, size: int | None
) -> tuple[Preprocess | None, str]:
    """The same for a network that normalises by itself, and what is said of that; else None."""
    if isinstance(preprocess, AsItIs):
        return None, ""
    inside = normalised_inside(module, preprocess.with_(size=size).shape)
    values = None if inside is None else expected_values(*inside)
    if inside is None or values is None:
        return None, ""
    largest, told = values
    mean, std = (" ".join(f"{x:.3g}" for x in dict.fromkeys(each)) for each in inside)
    plain = replace(preprocess, mean=(0.0,) * 3, std=(1 / largest,) * 3)
    note = f"Its forward normalises pictures itself, by mean {mean} and std {std}"
    return plain, f"{note}: it is given {told}."


def _again(one: Preprocess, plain: Preprocess) -> bool:
    """Whether a preprocessing normalises what the network normalises once more."""
    return (one.mean, one.std) != (plain.mean, plain.std)


def _shown(preprocess: Preprocess, asked: AskedModel) -> str:
    if isinstance(preprocess, AsItIs):
        return ""
    _, height, width = preprocess.with_(size=asked.input_size).shape
    return f"{height}x{width}"


def _assumed(preprocess: Preprocess, asked: AskedModel, sized: bool, coloured: bool) -> str:
    """What nobody said."""
    if isinstance(preprocess, AsItIs) or (sized and coloured):
        return ""
    shown = preprocess.with_(size=asked.input_size)
    if not sized and not coloured:
        return f"Input ASSUMED: {described(shown)}; --preprocess says otherwise."
    if not sized:
        return f"Input size {_shown(shown, asked)} ASSUMED: --input-size says otherwise."
    # Where the user says how, it may be the fit: then what is left open are mean and std alone.
    left = described(shown).split(", ", 1)[1] if asked.preprocess is None else normalised(shown)
    return f"{left[:1].upper()}{left[1:]} ASSUMED: --preprocess says otherwise."


def own_preprocess(module: nn.Module, name: str) -> Told:
    """What a module's ``preprocess`` or ``pretrained_cfg`` says.

    Args:
        module: the network.
        name: what to call it.

    Raises:
        UsageError: its ``preprocess`` is nothing that is known.
    """
    own: Any = getattr(module, "preprocess", None)
    usual = Preprocess()
    if isinstance(own, str | dict | Preprocess) or _is_given(module, own):
        try:
            said = read_said(own, usual)
        except UsageError as error:
            raise UsageError(f"The preprocess of {name} cannot be read: {error}") from error
        return Told(said.preprocess, said.sized, said.coloured)
    cfg = getattr(module, "pretrained_cfg", None)
    if isinstance(cfg, dict) and {"input_size", "mean", "std"} <= cfg.keys():
        return Told(of_timm(cfg), True, True, _unused(own, name))
    return Told(usual, note=_unused(own, name))


def _is_given(module: nn.Module, own: object) -> bool:
    """Whether it is a transform of pictures, and no layer that the network's forward applies."""
    if own is None or not is_transform(own):
        return False
    # A transform of torchvision is a layer, and so registered as one, as is one that the forward
    # applies: what ends in tensors of floats, from pictures, is for pictures.
    return not any(own is child for child in module.children()) or starts_from_pictures(own)


def _unused(own: object, name: str) -> str:
    """What is said of a ``preprocess`` that is no transform.

    Raises:
        UsageError: it is of no use.
    """
    if own is None or isinstance(own, nn.Module):
        return ""
    if callable(own):
        return (
            f"{name} has a function preprocess(), which is not called: give what it does as "
            "--preprocess, or in Python as load_classifier(..., preprocess=...)."
        )
    raise UsageError(
        f"The preprocess of {name} is a {type(own).__name__}: it should be a camcli Preprocess, a "
        "transform of torchvision, a dict such as {'size': 224, 'mean': [...], 'std': [...]}, or "
        "words as --preprocess takes them."
    )
