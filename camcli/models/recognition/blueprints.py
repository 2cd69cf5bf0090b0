"""How torchvision and timm build their classifiers, of any number of classes, channels and size."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from camcli.models.recognition.described import Blueprint

_WITH_HELP = ("googlenet", "inception_v3")


def torchvision_blueprints() -> Iterator[Blueprint]:
    """Torchvision's classification models."""
    from torchvision import models

    for name in sorted(models.list_models(module=models)):
        yield torchvision_blueprint(name)


def torchvision_blueprint(name: str) -> Blueprint:
    """One of them."""
    from torchvision import models

    entries = models.get_model_weights(name)
    usual = entries.DEFAULT.transforms()
    return Blueprint(
        library="torchvision",
        name=name,
        build=_torchvision(name),
        size=usual.crop_size[0],
        channels=3,
        tags=len(list(entries)),
        norm=_norm(usual.mean, usual.std),
    )


def _torchvision(name: str) -> Callable[[int, int | None, int | None], nn.Module]:
    def build(classes: int, channels: int | None, size: int | None) -> nn.Module:
        return torchvision_network(name, classes, channels, size, helping=True)

    return build


def torchvision_network(
    name: str, classes: int, channels: int | None = None, size: int | None = None,
    *, helping: bool = False,
) -> nn.Module:  # fmt: skip
    """An untrained network of torchvision.

    Args:
        name: of the model.
        classes: how many.
        channels: of the input; None for three. The first convolution is made anew for others.
        size: side of the input, for those that depend on it; None for their usual.
        helping: with the heads that only help training.

    Raises:
        TypeError: it does not depend on the size.
    """
    from torchvision import models

    options: dict[str, Any] = {"num_classes": classes}
    if name in _WITH_HELP:
        options |= {"aux_logits": helping, "init_weights": not helping}
    if size is not None:
        options |= {"image_size": size}
        builder = inspect.unwrap(models.get_model_builder(name))
        if name.startswith("maxvit"):
            options = {"num_classes": classes, "input_size": (size, size)}
        elif not name.startswith("vit"):
            raise TypeError(f"{builder.__name__} takes pictures of any size")
    module = models.get_model(name, **options)
    if channels is not None and channels != 3:
        widen_stem(module, channels)
    return module


def widen_stem(module: nn.Module, channels: int) -> None:
    """Make a network's first convolution anew, for another number of channels.

    Raises:
        TypeError: it does not begin with a convolution.
    """
    found = next(((n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d)), None)
    if found is None or found[1].groups != 1:
        raise TypeError("it does not begin with a convolution of all channels")
    name, first = found
    options: dict[str, Any] = {
        option: getattr(first, option)
        for option in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    bias = first.bias is not None
    other = nn.Conv2d(channels, first.out_channels, bias=bias, **options)
    module.set_submodule(name, other)


def timm_blueprints() -> Iterator[Blueprint]:
    """Timm's models that take pictures."""
    import timm

    tags = Counter(name.partition(".")[0] for name in timm.list_models(pretrained=True))
    for name in sorted(timm.list_models()):
        if timm.get_pretrained_cfg(name) is not None:
            yield timm_blueprint(name, tags[name])


def timm_blueprint(name: str, tags: int = 0) -> Blueprint:
    """One of them.

    Args:
        name: of the architecture, without a tag.
        tags: how many sets of weights timm has for it.
    """
    import timm

    cfg: Any = timm.get_pretrained_cfg(name)
    named = cfg.classifier if isinstance(cfg.classifier, str) else None
    return Blueprint(
        library="timm",
        name=name,
        build=_timm(name),
        size=cfg.input_size[-1],
        channels=cfg.input_size[0],
        tags=tags,
        norm=_norm(cfg.mean, cfg.std),
        main=(named,) if named else tuple(cfg.classifier or ()),
    )


def _timm(name: str) -> Callable[[int, int | None, int | None], nn.Module]:
    def build(classes: int, channels: int | None, size: int | None) -> nn.Module:
        return timm_network(name, classes, channels, size)

    return build


def timm_network(
    name: str, classes: int, channels: int | None = None, size: int | None = None
) -> nn.Module:
    """An untrained network of timm; see `torchvision_network`.

    Raises:
        TypeError: it does not depend on the size, or takes no other number of channels.
    """
    import timm

    options: dict[str, Any] = {"num_classes": classes}
    if channels is not None:
        options["in_chans"] = channels
    if size is not None:
        options["img_size"] = size
    module: nn.Module = timm.create_model(name, **options)
    return module


def _norm(mean: Any, std: Any) -> str:
    return "/".join(",".join(f"{v:g}" for v in values) for values in (mean, std))
