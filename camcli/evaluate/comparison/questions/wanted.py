"""Which settings give an evaluation something to measure; without torch."""

from __future__ import annotations

MEASURES = (
    "boxes", "masks", "parts", "grid", "suite", "faithfulness", "sanity", "calibrate",
)  # fmt: skip
"""Settings of which one is enough; without any, labels are, where they name classes."""

GIVE = f"give {', '.join(f'--{name}' for name in MEASURES)}"

NOTHING = (
    "Nothing could be measured: no annotation, and no label names a class of the network. "
    f"{GIVE.capitalize()}, or --labels that name its classes."
)
