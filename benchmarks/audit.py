"""How often the audit finds a planted mark, and how often it cries wolf.

    python benchmarks/audit.py [SEEDS [FIRST]]

For each seed a head is trained on frozen features of drawn scenes in which a mark gives one class
away (which one: by the seed), and another on the same scenes without marks. What is suspected is
taken away from scenes, and put on others, to prove it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "evaluate" / "audit"))

import torch
from test_audit import FRUITS, audit_scenes, prove_scenes

from camcli.models.load import load_classifier


def main() -> None:
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    classifier = load_classifier(input_size=320, fit="squash")
    hits = clean = proved = 0
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for seed in range(first, first + seeds):
        planted = FRUITS[seed % len(FRUITS)]
        known: dict = {}
        found = [(s.label, s.kind, round(s.value, 2), round(s.others, 2)) for s in
                 audit_scenes(seed, planted, classifier=classifier, known=known)]  # fmt: skip
        without = [(s.label, s.kind) for s in
                   audit_scenes(seed, None, classifier=classifier, known=known)]  # fmt: skip
        hits += {label for label, *_ in found} == {planted}
        clean += not without
        findings = prove_scenes(seed, planted, classifier=classifier, known=known)
        proofs = [
            (
                f.label,
                f.kind,
                f.verdict,
                *(round(e.beyond.value, 2) for e in (f.remove, f.add) if e),
            )
            for f in findings
        ]
        proved += {f.label for f in findings if f.verdict == "used"} == {planted}
        print(
            f"seed {seed}: planted {planted}, flagged {found}, proved {proofs}; clean: {without}",
            flush=True,
        )
    print(
        f"found alone in {hits} of {seeds}, and proved alone in {proved}; nothing flagged in "
        f"{clean} of {seeds} clean sets"
    )


if __name__ == "__main__":
    main()
