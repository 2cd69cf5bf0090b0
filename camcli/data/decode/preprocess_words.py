"""``--preprocess``: how a network wants its pixels, in words."""

from __future__ import annotations

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError

_MEAN_STD: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "tf": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def applied(text: str, own: Preprocess) -> Preprocess:
    """`own` with what a user says of it.

    Args:
        text: the name of a preset.
        own: what would be assumed.

    Raises:
        UsageError: it cannot be read.
    """
    if text not in _MEAN_STD:
        raise UsageError(f"Unknown --preprocess {text!r}. Choose one of {', '.join(_MEAN_STD)}.")
    mean, std = _MEAN_STD[text]
    return own.with_(mean=mean, std=std)
