"""Make the index by which camcli recognises whose tensors a file holds.

    python ci/architectures.py            # writes it
    python ci/architectures.py --only resnet18 timm:vit_tiny_patch16_224 --out some.txt.gz

Every classifier of torchvision and timm is built without memory, several times, and the names and
shapes of its tensors are compared: `camcli/models/recognition/described.py`. It takes minutes. Run
it after an update of timm or torchvision, and commit the file. The same versions make the same
bytes.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch

from camcli.models.recognition.blueprints import Blueprint, timm_blueprints, torchvision_blueprints
from camcli.models.recognition.described import describe
from camcli.models.recognition.forest import Forest
from camcli.models.recognition.index import FILE, Index, written

DEFAULT = Path(__file__).resolve().parent.parent / "camcli" / "models" / "recognition" / FILE


def blueprints(only: list[str]) -> Iterator[Blueprint]:
    """All of them, or those of the names."""
    for each in (*torchvision_blueprints(), *timm_blueprints()):
        written_name = each.name if each.library == "torchvision" else f"timm:{each.name}"
        if not only or written_name in only:
            yield each


def make(only: list[str], *, told: bool = True) -> Index:
    """Build the networks and describe them."""
    forest, found = Forest(), []
    started = time.monotonic()
    for count, blueprint in enumerate(blueprints(only), 1):
        try:
            one = describe(blueprint, forest)
        except Exception as error:
            print(f"left out: {blueprint.name} cannot be built: {error}", file=sys.stderr)
            continue
        if one is not None:
            found.append(one)
        elif told:
            print(f"left out: {blueprint.name} has no classes", file=sys.stderr)
        if told and count % 100 == 0:
            print(f"{count} networks, {time.monotonic() - started:.0f} s", file=sys.stderr)
    versions = {name: metadata.version(name) for name in ("torch", "torchvision", "timm")}
    # The build of torch (+cpu, +cu130) makes no difference.
    return Index({n: v.partition("+")[0] for n, v in versions.items()}, forest, found)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--out", type=Path, default=DEFAULT)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    index = make(options.only)
    content = written(index)
    options.out.write_bytes(content)
    trees = len({each.root for each in index.architectures})
    print(
        f"{options.out}: {len(index.architectures)} architectures, {trees} of which have tensors "
        f"of their own, {len(content) / 1000:.0f} kB"
    )


if __name__ == "__main__":
    main()
