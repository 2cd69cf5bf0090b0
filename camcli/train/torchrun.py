"""Whether torchrun started this process and others with it; read without torch."""

from __future__ import annotations

import os


def speaks() -> bool:
    """Whether this process is the one, or the first of several, that tells a person something."""
    return not several() or os.environ.get("RANK", "0") == "0"


def several() -> bool:
    """Whether torchrun started this process, and others with it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
