"""Pinned copies, two streams and a batch that grows: the rows of a quiet CPU, time after time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from gpu_correct import compared
from gpu_tables import Setting, Table, told

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.data.sources.find import find_images
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime

# A copy that is used before it is there, or memory that is given away too soon, shows once in a
# while only.
TURNS = 3


def streams(setting: Setting) -> Iterator[Table]:
    """The engine with its lanes beside batches of 16 on the CPU, image by image."""
    rows: list[tuple[Any, ...]] = []
    refs = list(islice(find_images(setting.photographs()), 8 if setting.small else 768))
    for name, weights in (("resnet18", "random"), ("efficientnet_lite0", None)):
        here, there = (
            load_classifier(name, weights=weights, device=device)
            for device in ("cpu", setting.device)
        )
        what = make_explanation(here, target="0" if weights else None)
        expected = list(stream(refs, here, what, batch_size=16))
        for precision in setting.precisions[:2]:
            fast = with_runtime(there, "torch", precision=precision)
            for turn in range(1 if setting.small else TURNS):
                try:
                    found = list(stream(refs, fast, what))
                    apart = compared(expected, found)
                except Exception as error:
                    apart = (told(error), "", "", "", "")
                rows.append((name, precision, turn + 1, len(refs), *apart))
    yield Table(
        f"The engine on {setting.device} beside the CPU in float32, the worst of all images",
        ("network", "precision", "turn", "images", "cosine of a map", "difference of a map",
         "of a probability", "other class", "empty maps, there and here"), rows,
        "On a GPU: copies from pinned memory, two streams, batches of 16 that grow to 128.",
    )  # fmt: skip
