"""What is explained, and by which method: the settings of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.cam.map_options import (
    Fuse,
    MapOptions,
    Smooth,
    check_asked_classes,
    check_fuse,
    check_layer,
    check_signed,
    make_map_options,
)
from camcli.cam.scores import Score
from camcli.jobs.model import ModelJob
from camcli.models.classes.named_class import match_class, namesakes
from camcli.settings import Settings
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.batch.explain import Explanation
    from camcli.models.classifier import Classifier


@dataclass(frozen=True, slots=True)
class MapJob(Settings):
    """Maps that are to be made.

    Attributes:
        method: name of the CAM method, as ``camcli methods`` lists them.
        target: class to explain, by name or index; None for the predicted one.
        topk: explain each of the k best classes instead.
        score: what number of the class; None for the method's own.
        versus: class to compare with: what speaks for the target rather than for this one.
        fuse: how the maps of several layers become one.
        smooth: ``aug``, ``noise`` or ``eigen``; None for not at all.
        samples: noisy copies; None for the usual number.
        channels: most channels of scorecam, sscam and iscam; None for all.
        converge: where these three stop, as a cosine; None for not before the end.
    """

    method: str = "gradcam"
    target: str | int | None = None
    topk: int = 1
    score: Score | None = None
    versus: str | int | None = None
    fuse: Fuse = "mean"
    smooth: Smooth | None = None
    samples: int | None = None
    channels: int | None = None
    converge: float | None = None

    def options(self) -> MapOptions:
        """The same as the methods take it; classes are not known yet.

        Raises:
            UsageError: an unknown name, a number out of range, or options that do nothing together.
        """
        return make_map_options(
            self.method, score=self.score, fuse=self.fuse, smooth=self.smooth,
            samples=self.samples, channels=self.channels, converge=self.converge,
        )  # fmt: skip

    def check(
        self, network: ModelJob | Classifier, listener: Listener, *, signed: bool = False
    ) -> None:
        """Refuse what can be known to be wrong before the network is loaded.

        Args:
            network: whose maps; one that is loaded has been checked.
            listener: told which of several classes of one name is meant.
            signed: whether evidence against the class is going to be drawn.

        Raises:
            UsageError: an unknown method, class or layer, or options that do nothing together.
        """
        how = self.options()
        check_asked_classes(self.target, self.topk)
        if not isinstance(network, ModelJob):
            return
        check_layer(how, network.layer)
        check_fuse(how, network.layer)
        network.check()
        if known := network.known_classes:
            for name in (self.target, self.versus):
                if name is None:
                    continue
                if note := namesakes(str(name), match_class(str(name), known), known):
                    listener.say(note)
        if signed:
            check_signed(how, network.layer)

    def explanation(self, classifier: Classifier) -> Explanation:
        """What is explained of this network.

        Raises:
            UsageError: it has no such class, or the method cannot explain it.
        """
        from camcli.batch.explain import make_explanation

        return make_explanation(
            classifier, self.options(), target=self.target, topk=self.topk, versus=self.versus
        )
