"""What to say to whom a GPU would mostly wait: that several processes feed it."""

from __future__ import annotations

from dataclasses import replace

from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.source import Source

# Where one process takes seconds, another one's start is not worth a line.
MANY = 2000
# With fewer, what one process leaves of them is little.
CORES = 4


def advice(source: Source, before: int, device: str, cores: int) -> str | None:
    """One sentence for a run in one process, or None where there is nothing to gain.

    Python runs one thread at a time, so that one process decodes and describes some hundreds of
    images a second, while a GPU that shows a network each of them once explains thousands
    (benchmarks/RESULTS.md). On a CPU the cores are busy as it is.

    Args:
        source: the images; walked up to the number that makes many.
        before: how many of them are done already.
        device: where the network runs, as torch writes it.
        cores: those that this process may use.
    """
    if device.partition(":")[0] != "cuda" or cores < CORES:
        return None
    enough = before + MANY
    if source.limit is not None and source.limit < enough:
        return None
    found = replace(source, limit=enough, left_out=LeftOut()).count()
    if found is None or found < enough:
        return None
    return (
        f"One process feeds {device} some hundreds of images a second, and it could explain "
        f"thousands: --processes {cores // 2} starts as many on it, each with a network of its "
        "own, as far as the GPU's memory goes."
    )
