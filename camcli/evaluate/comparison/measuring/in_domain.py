"""Single deletion and F-Fidelity: photographs without patches, to which the head got used first.

A network has never seen a photograph with a hole, so what it says of one may be about the hole. The
papers train it on such photographs; here only its head is, on one half of the photographs, and the
other half is judged with it, so that nothing is judged that was learned from. That takes a head
that is global average pooling and one linear layer; other networks are asked as they are, and the
numbers have other names (``sds`` and ``rfid``), because they are other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camcli.cam.map_options import MapOptions
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.comparison.measuring.asked import heat_of
from camcli.evaluate.measured.seen import Seen, probability_of, see_photographs
from camcli.evaluate.measured.square_canvas import GAUSSIAN, centre_gaussian
from camcli.evaluate.metrics.faithfulness import Ask
from camcli.evaluate.metrics.fidelity import at_random, fidelity
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.single_deletion import deletion_score, without_each
from camcli.models.classifier import Classifier
from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.adapted_head import FEWEST, Adapted, adapt
from camcli.train.fitting.head import linear

_CHUNK = 16
_LEARNED = {"sds": "idsds", "rfid": "ffid"}

PatchAnswer = tuple[dict[str, Means], dict[str, Any]]
"""The means of each method, and what the head learned, metric by metric."""


@dataclass(slots=True)
class InDomain:
    """Collects photographs without patches, and judges maps by them.

    Attributes:
        classifier: the network.
        hows: methods by name.
        deletion: ask for single deletion.
        fidelity: ask for F-Fidelity.
        seed: of what is drawn.
        progress: called after each photograph that is looked at again.
        turn: called before they are, with what it is for.
    """

    classifier: Classifier
    hows: dict[str, MapOptions]
    deletion: bool
    fidelity: bool
    seed: int = 0
    progress: Callable[[], object] = lambda: None
    turn: Callable[[str], object] = lambda words: None
    _plain: dict[str, Means] = field(init=False)
    _kept: list[_Kept] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._plain = {method: Means() for method in (GAUSSIAN, *self.hows)}

    @property
    def _learns(self) -> bool:
        """Whether there is a head that can get used to something."""
        known = self.classifier.output.kind in ("softmax", "sigmoid", "binary")
        return known and self.classifier.head is not None

    @property
    def why_as_it_is(self) -> str | None:
        """Why the network is asked as it is, and no head got used to anything; None if one did."""
        if self._learns and len(self._kept) >= FEWEST:
            return None
        plain = [name for name, asked in (("sds", self.deletion), ("rfid", self.fidelity)) if asked]
        if not plain:
            return None
        asked = f"{' and '.join(plain)}, and not {' and '.join(_LEARNED[name] for name in plain)}"
        if self._learns:
            return f"Measured {asked}: a head learns from {FEWEST} photographs or more."
        if self.classifier.cut is not None and len(self.classifier.cut.places) > 1:
            return (
                f"Measured {asked}: the network is cut at several layers "
                f"({self.classifier.layer}). To have them, leave out --layer, and methods that "
                "join layers."
            )
        return (
            f"Measured {asked}: a head can get used to missing patches where it is one linear "
            "layer after global average pooling, of classes or labels."
        )

    def leave_out(self, method: str) -> None:
        """Ask nothing more of a method, and say nothing of what it was asked."""
        self.hows = {name: how for name, how in self.hows.items() if name != method}
        self._plain.pop(method, None)

    def add(self, seen: Seen) -> None:
        """A photograph; of several labels the likeliest true one is explained."""
        kept = _Kept(seen.ref, seen.index)
        if self.deletion:
            logits, kept.patches = self._look(
                torch.cat([seen.image[None], without_each(seen.image)])
            )
            falls = (logits[:1, seen.index] - logits[1:, seen.index]).numpy()
            for method, part in self._plain.items():
                part.add({"sds": self._score(seen, method, falls)})
        if self.fidelity and self._learns:
            random = at_random(seen.image, seed=self.seed + len(self._kept))
            _, kept.random = self._look(torch.cat([seen.image[None], random]))
        self._kept.append(kept)

    def found(self) -> Iterator[tuple[str, Callable[[], PatchAnswer]]]:
        """What is asked, in words, and what answers it: each is asked by itself."""
        if self.deletion:
            yield "single deletion", lambda: (self._plain, {})
        if self.deletion and self._learns and len(self._kept) >= FEWEST:
            yield "single deletion by a head that got used to it", self._deleted
        if self.fidelity:
            yield "F-Fidelity", self._faithful

    def _adapted(self, pooled: list[Tensor | None]) -> Adapted:
        assert self.classifier.head is not None
        labels = self.classifier.output.kind != "softmax"
        return adapt(
            self.classifier.head, [rows for rows in pooled if rows is not None], labels=labels
        )

    def _deleted(self) -> PatchAnswer:
        """``idsds``: both the maps and the falls are those of the head that got used to it."""
        adapted = self._adapted([kept.patches for kept in self._kept])
        means = {method: Means() for method in self._plain}
        self.turn("used to missing patches")
        for head, learner, half in self._learners(adapted):
            for seen, kept in self._again(learner, half):
                assert kept.patches is not None
                logits = linear(head, kept.patches)[:, kept.index]
                falls = (logits[:1] - logits[1:]).numpy()
                for method, part in means.items():
                    part.add({"idsds": self._score(seen, method, falls)})
        return means, {"idsds": _record(adapted)}

    def _learners(self, adapted: Adapted) -> Iterator[tuple[LinearHead, Classifier, list[_Kept]]]:
        """Each head that learned, the network with it, and the half that it did not learn from."""
        device = self.classifier.device
        for first in (0, 1):
            head = adapted.of(first)
            own = LinearHead(head.weight.to(device), head.bias.to(device))
            learner = replace(self.classifier, head=own, tail=own, cut=None)
            yield head, learner, self._kept[first::2]

    def _faithful(self) -> PatchAnswer:
        """Falls of the probability without some of the hottest, and of the coldest, patches.

        As with ``idsds`` the maps are of the head that is asked.
        """
        means = {method: Means() for method in self._plain}
        if not (self._learns and len(self._kept) >= FEWEST):
            self.turn("without some of its patches")
            for seen, kept in self._again(self.classifier, self._kept):
                self._fall("rfid", means, seen, probability_of(self.classifier, kept.index))
            return means, {}
        adapted = self._adapted([kept.random for kept in self._kept])
        self.turn("without some of its patches")
        for head, learner, half in self._learners(adapted):
            for seen, kept in self._again(learner, half):
                self._fall("ffid", means, seen, self._probability_by(head, kept.index))
        return means, {"ffid": _record(adapted)}

    def _fall(self, name: str, means: dict[str, Means], seen: Seen, ask: Ask) -> None:
        """What one photograph's maps are worth, by who is asked."""
        for method, part in means.items():
            heat = heat_of(seen, self.hows.get(method), method)
            hottest, coldest = fidelity(seen.image, heat, ask, seed=self.seed)
            part.add({f"{name}_plus": hottest, f"{name}_minus": coldest})

    def _probability_by(self, head: LinearHead, index: int) -> Any:
        def ask(images: Tensor) -> Tensor:
            _, pooled = self._look(images)
            assert pooled is not None
            return self.classifier.probabilities(linear(head, pooled))[:, index]

        return ask

    def _again(self, classifier: Classifier, kept: list[_Kept]) -> Iterator[tuple[Seen, _Kept]]:
        """The photographs once more, with maps of the class that was explained before."""
        known = {each.ref.rel: each for each in kept}
        index = {each.ref.rel: each.index for each in kept}
        refs = [each.ref for each in kept]
        for seen in see_photographs(classifier, refs, self.hows, index=index):
            yield seen, known[seen.ref.rel]
            self.progress()

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (n, C) and, where the head can learn, pooled features (n, K) float16; CPU."""
        logits, pooled = [], []
        for part in images.split(_CHUNK):
            look = self.classifier.see(part)
            logits.append(look.logits.float().cpu())
            if self._learns:
                pooled.append(look.parts[-1].A.mean((2, 3)).half().cpu())
        return torch.cat(logits), torch.cat(pooled) if pooled else None

    def _score(self, seen: Seen, method: str, falls: np.ndarray) -> float:
        heatmap = seen.maps[method] if method in self.hows else centre_gaussian()
        return deletion_score(heatmap, falls, (seen.image.shape[1], seen.image.shape[2]))


@dataclass(slots=True)
class _Kept:
    """Of one photograph: the explained class, and features of its changed pictures."""

    ref: ImageRef
    index: int
    patches: Tensor | None = None
    random: Tensor | None = None


def _record(adapted: Adapted) -> dict[str, Any]:
    """What the head learned, for the record: its loss on the halves it did not learn from."""
    return {
        "held": adapted.strength,
        "loss_before": round(adapted.before, 6),
        "loss_after": round(adapted.after, 6),
        "loss_floor": round(adapted.floor, 6),
        "learned": round(adapted.learned, 4),
        "kept_before": round(adapted.kept_before, 4),
        "kept_after": round(adapted.kept_after, 4),
    }
