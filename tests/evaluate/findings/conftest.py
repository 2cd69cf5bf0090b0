"""Findings of every kind of content, with names that try to break out of whatever shows them."""

import numpy as np
import pytest

from camcli.evaluate.findings.finding import (
    Effect,
    Finding,
    HeatShare,
    Measured,
    Retried,
    Sighting,
)

EVIL = '</script><img src=x onerror="alert(1)">'


@pytest.fixture
def findings():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (22, 120, 3), dtype=np.uint8)
    removed = Effect(
        "inpainted", "a patch beside it", 50, Measured(0.86, 0.74, 0.93),
        Measured(0.03, 0.0, 0.1), Measured(0.83, 0.7, 0.9), Measured(-3.2, -3.9, -2.5),
        Measured(-0.1, -0.3, 0.1),
    )  # fmt: skip
    added = Effect(
        "pasted", "another patch", 60, Measured(0.6, 0.47, 0.72), Measured(0.01, 0.0, 0.06),
        Measured(0.59, 0.46, 0.7), Measured(2.2, 1.9, 2.5), Measured(float("nan"), -0.1, 0.3),
    )  # fmt: skip
    before = np.full((30, 40, 3), 90, np.uint8)
    return [
        Finding(
            "mark", "be/ta\n", "not used", "be/ta carries a mark", "It is there.", "Crop it.",
            (Sighting("b/1.jpg", (0.1, 0.1, 0.2, 0.3)),), 48, 60, 1, 60, 0.8, 1e-20, removed,
            picture=picture[:, :30],
        ),
        Finding(
            "mark", "alpha", "used", "alpha rests on this mark",
            "In 51 of 60 photographs, 2 of 60 elsewhere. Without it 86% [74, 93] change their "
            "class (control 3%).", "Crop the mark and train again.",
            tuple(
                Sighting(f"a/{n}.jpg", (0.7, 0.9, 0.94, 0.96), "alpha 0.98", 1 - n / 60)
                for n in range(51)
            ), 51, 60, 2, 60, np.float32(0.5), 1e-20, removed, added, HeatShare(0.41, 0.03, 50),
            picture, (Retried("a/0.jpg", "inpainted", before, before // 2, "alpha 1", "beta 1"),),
        ),
        Finding(
            "camera", None, "unproved", EVIL, "=1+1 [bold]x[/bold] \x1b[31m", "", (
                Sighting('=evil\n"\udce9.jpg', None, EVIL, 0.5, "other [red].jpg"),
            ), effect=float("nan"),
        ),
    ]  # fmt: skip
