"""Which functions keep the places of a map where they are, and of which kinds of map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from torch import Tensor
from torch.overrides import TorchFunctionMode

from camcli.models.cutting.tokens import TensorLayout, possible_layouts

# "maps" are (B, K, h, w), "rows" channels last or tokens, "any" is all of them; what is "turned"
# has its dimensions in another order.
Keeps = Literal["maps", "rows", "any", "turned"]

# Functions, methods and operators by their names.
_MAP_NAMES = {
    "conv2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
    "lp_pool2d", "interpolate", "upsample", "pad", "batch_norm", "instance_norm",
}  # fmt: skip
_LAST_NAMES = {"linear", "layer_norm", "rms_norm"}
_POINT_NAMES = {
    "add", "sub", "rsub", "mul", "div", "truediv", "true_divide", "neg", "pow", "sqrt", "rsqrt",
    "square", "abs", "exp", "log", "iadd", "isub", "imul", "itruediv", "relu", "relu6", "gelu",
    "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "selu",
    "celu", "softplus", "softsign", "mish", "prelu", "glu", "clamp", "clamp_min", "clamp_max",
    "clip", "maximum", "minimum", "where", "lerp", "addcmul", "dropout", "dropout1d", "dropout2d",
    "group_norm", "normalize", "local_response_norm", "contiguous", "clone", "float", "to",
    "type_as", "detach", "cat", "concat", "stochastic_depth", "drop_path", "nan_to_num", "softmax",
    "masked_fill", "alpha_dropout", "feature_alpha_dropout", "logsigmoid", "log_softmax",
}  # fmt: skip
# Those that may rearrange what stands before the last two dimensions, (h, w).
_RESHAPING = {
    "view", "reshape", "unflatten", "flatten", "permute", "transpose", "swapaxes", "unsqueeze",
    "squeeze", "contiguous", "getitem", "chunk", "split", "tensor_split", "unbind", "narrow",
    "select", "stack", "repeat_interleave", "index_select", "roll", "flip",
}  # fmt: skip
# Those that are told which dimensions they move.
_MOVING = {"permute", "transpose", "swapaxes", "roll", "flip"}
_TURNING = {"permute", "transpose", "movedim", "swapaxes"}


def step_of(name: str) -> Keeps | None:
    """What a function, a method or an operator of this name keeps; None if it moves places."""
    if name in _TURNING:
        return "turned"
    if name in _MAP_NAMES:
        return "maps"
    return "rows" if name in _LAST_NAMES else "any" if name in _POINT_NAMES else None


def keeps_last(name: str, args: Sequence[Any], dims: int) -> bool:
    """Whether a function that rearranges leaves the last two dimensions alone, if they are equal.

    Args:
        name: of the function.
        args: what it is given besides the tensor.
        dims: of the tensor, how many.
    """
    if name not in _RESHAPING:
        return False
    if name not in _MOVING:
        return True
    told = args[-1] if name in ("roll", "flip") and args else args
    told = told if isinstance(told, tuple | list) else [told]
    flat = [d for part in told for d in (part if isinstance(part, tuple | list) else [part])]
    if not flat or not all(type(d) is int for d in flat):
        return False
    moved = [d % dims for d in flat]
    if name == "permute":
        return moved[-2:] == [len(moved) - 2, len(moved) - 1]
    return not {dims - 2, dims - 1} & set(moved)


def from_images(step: Keeps, possible: Iterable[TensorLayout]) -> TensorLayout | None:
    """The layout of what one step makes of images."""
    fits = step in ("maps", "any")
    return next((p for p in possible if p.kind == "maps" and fits), None)


def kept(step: Keeps, held: TensorLayout, possible: Iterable[TensorLayout]) -> TensorLayout | None:
    """The layout of what one step makes of a value that is `held` so.

    Args:
        step: what it keeps.
        held: the layout before it.
        possible: what its result's shape allows.
    """
    for p in possible:
        if step == "turned":
            if {p.kind, held.kind} == {"maps", "last"} and p.shape == held.shape:
                return p
        elif (
            p.kind == held.kind
            and p.prefix == held.prefix
            and (step == "any" or (step == "maps") == (p.kind == "maps"))
            and (step == "maps" or p.shape[1:] == held.shape[1:])
        ):
            return p
    return None


class Following(TorchFunctionMode):
    """Follows maps through a network as it runs: tensors remember how they hold them."""

    def __init__(self, image: tuple[int, int]) -> None:
        """Of images with this (height, width)."""
        super().__init__()
        self._image = image

    def begin(self, images: Tensor) -> None:
        """Images are where places come from."""
        images._camcli_images = True  # type: ignore[attr-defined]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").removesuffix("_")
        if name.startswith("__"):  # an operator
            name = name.strip("_").removeprefix("r")
        step = step_of(name)
        first = args[0] if args else None
        parts = out if isinstance(out, tuple | list) else (out,)
        for part in parts:
            if not isinstance(part, Tensor) or part.ndim not in (3, 4, 5):
                continue
            if step is not None:
                self._follow(step, (*args, *(kwargs or {}).values()), part)
            if held_by(part) is None and isinstance(first, Tensor):
                self._rearranged(name, first, args[1:], part)
        return out

    def _rearranged(self, name: str, value: Tensor, args: Sequence[Any], out: Tensor) -> None:
        held = held_by(value)
        if held is None or held.kind != "maps" or out.ndim < 4:
            return
        if out.shape[-2:] == held.shape[1:] and keeps_last(name, args, value.ndim):
            remember(out, TensorLayout("maps", (out.shape[-3], *held.shape[1:])))

    def _follow(self, step: Keeps, given: Iterable[Any], out: Tensor) -> None:
        possible = possible_layouts(tuple(out.shape), self._image)
        for value in given:
            if isinstance(value, tuple | list):
                self._follow(step, value, out)
                continue
            if not isinstance(value, Tensor) or held_by(out) is not None:
                continue
            held = held_by(value)
            if getattr(value, "_camcli_images", False):
                if step == "any" and tuple(out.shape) == tuple(value.shape):
                    self.begin(out)
                    continue
                found = from_images(step, possible)
            else:
                found = None if held is None else kept(step, held, possible)
            if found is not None:
                remember(out, found)


def held_by(value: Tensor) -> TensorLayout | None:
    """How a tensor holds maps, if that is known."""
    found: TensorLayout | None = getattr(value, "_camcli_layout", None)
    return found


def remember(value: Tensor, held: TensorLayout) -> None:
    """Note how a tensor holds maps."""
    value._camcli_layout = held  # type: ignore[attr-defined]
