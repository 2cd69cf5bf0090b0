"""What is explained, and by which method: the settings of maps."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.cam.automatic import suited
from camcli.cam.map_options import (
    MASKED,
    SAMPLED,
    Fuse,
    MapOptions,
    Smooth,
    check_asked_classes,
    check_fuse,
    check_layer,
    check_signed,
    check_views,
    make_map_options,
    note_of_all_layers,
)
from camcli.cam.method_facts import check_difference, find_facts
from camcli.cam.scores import AUTO_SCORE, AskedScore
from camcli.errors import UsageError
from camcli.jobs.model import ModelJob
from camcli.jobs.presets import (
    SettledMaps,
    blaming,
    find_preset,
    told_of_boxes,
    told_of_network,
    tuned_by,
)
from camcli.models.classes.named_class import match_class, namesakes
from camcli.models.spec import LAST, PYRAMID
from camcli.settings import Settings
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.batch.explanation import Explanation
    from camcli.models.classifier import Classifier
    from camcli.render.style import Style


@dataclass(frozen=True, slots=True)
class MapJob(Settings):
    """Maps that are to be made.

    Attributes:
        method: name of the CAM method, as ``camcli methods`` lists them, or ``auto`` for the one
            that suits the network; or, where an image is looked at closely, several, with commas
            between; None for the preset's, or else ``auto``.
        target: class to explain, by name or index; None for the predicted one.
        topk: explain each of the k best classes instead.
        score: what number of the class; ``auto``, as None: of two classes that exclude each other
            the difference, else the method's own.
        versus: class to compare with: what speaks for the target rather than for this one.
        fuse: how the maps of several layers become one.
        smooth: ``aug``, ``noise``, ``eigen`` or ``views``; None for the preset's, or else not at
            all.
        samples: noisy copies; None for the usual number.
        channels: most channels of scorecam, sscam and iscam; None for all.
        converge: where these three stop, as a cosine; None for not before the end.
        box_threshold: from which share of its maximum on a map is inside its box: a share,
            ``0.2@90``, ``otsu``, or a file of ``camcli evaluate --calibrate``; None for what the
            checkpoint says, or else the preset's, or else 0.2.
        preset: ``localize``: what is taken where nothing else is said.
    """

    method: str | None = None
    target: str | int | None = None
    topk: int = 1
    score: AskedScore | None = AUTO_SCORE
    versus: str | int | None = None
    fuse: Fuse = "mean"
    smooth: Smooth | None = None
    samples: int | None = None
    channels: int | None = None
    converge: float | None = None
    box_threshold: float | str | Path | None = None
    preset: str | None = None

    @property
    def methods(self) -> str:
        """The names of the methods, with commas between several: the user's, or the preset's.

        Raises:
            UsageError: there is no such preset.
        """
        return find_preset(self.preset).method if self.method is None else self.method

    @property
    def _smooth(self) -> Smooth | None:
        """How maps are smoothed; as the user said it, or the preset."""
        return find_preset(self.preset).smooth if self.smooth is None else self.smooth

    def at_its_layer(self) -> bool:
        """Whether any of the methods looks at the layer where the network is cut."""
        return any(job.options().method.place(named=False) is None for job in self.each())

    def each(self) -> list[MapJob]:
        """One for each method that is named; what is said of some is taken by those that know it.

        ``--converge`` is Score-CAM's, say, and a method that looks at no class has no ``--versus``:
        where at least one of several methods takes an option, the others do without it.

        Raises:
            UsageError: there is no such method, it is named twice, or one of several is missing.
        """
        names = self.methods.split(",")
        if len(names) == 1:
            return [self]
        if not all(name.strip() for name in names):
            raise UsageError(f"--method {self.methods} has a comma too many.")
        found = [find_facts(name) for name in names]
        for facts in found:
            if found.count(facts) > 1:
                raise UsageError(f"--method names {facts.name} twice.")
        jobs = [replace(self, method=facts.name) for facts in found]
        classes = [facts.class_specific for facts in found]
        for option, known in (
            ("channels", [facts.name in MASKED for facts in found]),
            ("converge", [facts.name in MASKED for facts in found]),
            ("samples", [self._smooth == "noise" or facts.name in SAMPLED for facts in found]),
            ("score", classes),
            ("versus", classes),
        ):
            if any(known):
                none: dict[str, Any] = {option: None}
                jobs = [
                    job if takes else replace(job, **none)
                    for job, takes in zip(jobs, known, strict=True)
                ]
        return jobs

    def looked_at(self, network: ModelJob) -> ModelJob:
        """The same network, looking as the preset says and cut where the methods look.

        What was named for the network stays.
        """
        with suppress(UsageError):  # which `check` says
            named = find_preset(self.preset)
            network = replace(
                network, fit=network.fit or named.fit,
                input_size=named.input_size if network.input_size is None else network.input_size,
            )  # fmt: skip
        if network.layer != LAST:
            return network
        with suppress(UsageError):
            if any(find_facts(job.methods).joins for job in self.each()):
                return replace(network, layer=PYRAMID)
        return network

    def drawn(self, style: Style) -> Style:
        """The same look of pictures, with boxes where the preset draws them."""
        with suppress(UsageError):  # which `check` says
            if find_preset(self.preset).draw_box:
                return replace(style, draw_box=True)
        return style

    def options(self) -> MapOptions:
        """The same as the methods take it; classes are not known yet.

        Raises:
            UsageError: an unknown name, a number out of range, or options that do nothing together.
        """
        how = make_map_options(
            self.methods, score=self.score, fuse=self.fuse, smooth=self._smooth,
            samples=self.samples, channels=self.channels, converge=self.converge,
            box_threshold=self.box_threshold,
        )  # fmt: skip
        return replace(how, usual=find_preset(self.preset).box)

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
        hows = [job.options() for job in self.each()]
        check_asked_classes(self.target, self.topk)
        if not any(how.method.class_specific for how in hows):
            asked = "--target" if self.target is not None else "--topk" if self.topk > 1 else None
            if asked:
                one = f"{hows[0].method.name} looks" if len(hows) == 1 else "these methods look"
                listener.warn(f"{asked} changes no map here: {one} at no class.")
        for how in hows if signed else ():
            check_signed(how, network.layer)
        if not isinstance(network, ModelJob):
            self._check_loaded(network)
            return
        check_difference(self.methods, network.against is not None)
        self._check_topk(network.against is not None)
        # Of several methods those that look at one layer take the one that is named.
        for how in [how for how in hows if not how.method.network] or hows:
            check_layer(how, network.layer)
            check_fuse(how, network.layer)
        check_views(self._smooth, network.fit, network.input_size)
        if blind := note_of_all_layers(hows, network.layer):
            listener.say(blind)
        network.check()
        if known := network.known_classes:
            for name in (self.target, self.versus):
                if name is None:
                    continue
                if note := namesakes(str(name), match_class(str(name), known), known):
                    listener.say(note)

    def _check_loaded(self, classifier: Classifier) -> None:
        """Refuse a preset where the network sees as its weights say: that is decided already."""
        named = find_preset(self.preset)
        if classifier.own is None and (named.fit or named.input_size):
            raise UsageError(
                "This classifier is loaded already: give fit and input_size to load_classifier "
                f"(--preset {self.preset} takes {named.fit!r} and {named.input_size})."
            )

    def blaming(self, network: ModelJob | Classifier) -> AbstractContextManager[None]:
        """Mistakes that the preset makes within are told as its own; see `presets.blaming`.

        Args:
            network: as `looked_at` left it.
        """
        named = find_preset(self.preset)
        given = network if isinstance(network, ModelJob) else ModelJob()
        return blaming(
            self.preset, methods=self.method, smooth=self.smooth,
            # Which is what somebody said besides, and is then as little the network's.
            fit=None if given.fit == named.fit else given.fit,
            input_size=None if given.input_size == named.input_size else given.input_size,
        )  # fmt: skip

    def tell(
        self, what: Explanation, network: ModelJob | Classifier, classifier: Classifier,
        listener: Listener,
    ) -> None:  # fmt: skip
        """Say what is to be known of the boxes that the preset draws; nothing without one.

        Args:
            what: `explanation` of `classifier`.
            network: as it was asked for.
            classifier: the same, loaded.
            listener: hears it.
        """
        if self.preset is None:
            return
        if isinstance(network, ModelJob):
            fit, size = network.fit, network.input_size
        else:
            fit, size = classifier.preprocess.fit, classifier.preprocess.size
        maps = SettledMaps(self.methods, fit, size, self._smooth)
        note = told_of_network(self.preset, classifier)
        if what.how.box is None:  # neither the user nor the checkpoint said another
            tuned = tuned_by(self.preset, maps, other=note is not None)
            listener.say(told_of_boxes(self.preset, maps, tuned))
        if note:
            listener.warn(note)

    def _check_topk(self, compares: bool) -> None:
        if compares and self.topk > 1:
            raise UsageError("--against explains one value, the difference: leave --topk out.")

    def explanation(self, classifier: Classifier, *, signed: bool = False) -> Explanation:
        """What is explained of this network.

        Args:
            classifier: the network.
            signed: whether evidence against the class is going to be drawn.

        Raises:
            UsageError: it has no such class, or the method cannot explain it.
        """
        from camcli.batch.explain import make_explanation
        from camcli.models.reference.compared import PLACE, references_of

        compares = references_of(classifier) is not None
        check_difference(self.methods, compares)
        self._check_topk(compares)
        if compares and str(self.target) in (PLACE, str(classifier.classes.index(PLACE))):
            raise UsageError(
                f"{PLACE!r} follows from the difference and has no map of its own: leave --target "
                "out."
            )
        hows = [suited(job.options(), classifier, signed=signed) for job in self.each()]
        first, *others = (
            make_explanation(classifier, how, target=job.target, topk=job.topk, versus=job.versus)
            for how, job in zip(hows, self.each(), strict=True)
        )
        # Nothing is drawn twice: of two that are one method, as auto may be, the first.
        beside = {other.method.name: other.how for other in reversed(others)}
        beside.pop(first.method.name, None)
        return replace(first, beside=tuple(reversed(beside.values())))
