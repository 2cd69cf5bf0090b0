"""What is known of each method without running it: names, formulas, what may be asked of them.

A command finds out here whether it was asked for something that exists, before torch is imported,
which takes seconds. `camcli.cam.methods` binds each name to what computes it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from camcli.cam.scores import Score
from camcli.errors import UsageError

ALL, FIRST = "all", "first tokens"
"""Where a method looks that looks at no layer: as rows and records call it."""


def where(layer: str) -> str:
    """The same, or the name of a layer, as a sentence calls it."""
    return {ALL: "all layers", FIRST: "the first tokens"}.get(layer, layer)


@dataclass(frozen=True, slots=True)
class Facts:
    """A CAM method, from outside.

    Attributes:
        name: as the user types it.
        formula: the map M in the papers' symbols.
        paper: where it comes from.
        cost: what it takes besides the forward pass, for a linear head and for another tail.
        equals: the method whose map this one is, up to a positive factor, for a linear head.
        class_specific: whether the map depends on the class at all.
        score: what it explains unless told otherwise.
        images: whether it runs the network on changed images.
        network: whether it looks at all layers at once, so that none is to be chosen.
        signed: whether what is below zero in its map speaks against the class.
        weighted: whether its map is a sum of weighted channels.
        one_pass: whether a gradient at the layer is all that it needs of a longer tail.
        attention: whether it looks at what a transformer's tokens look at.
        own_score: whether what it explains is part of what it is: ``--score auto`` leaves it so.
        joins: whether it multiplies the maps of several layers, which are the last ones of the
            last sizes unless they are named.
        default: what it calls the place where it looks, unless a layer is named; None for the last
            map.
    """

    name: str
    formula: str
    paper: str
    cost: tuple[str, str]
    equals: str | None = None
    class_specific: bool = True
    score: Score = "logit"
    images: bool = False
    network: bool = False
    signed: bool = False
    weighted: bool = True
    one_pass: bool = False
    attention: bool = False
    own_score: bool = False
    joins: bool = False
    default: str | None = None

    def place(self, named: bool) -> str | None:
        """Where it looks, if that is not the layer at which the network is cut.

        Args:
            named: whether that layer was asked for by name.
        """
        return ALL if self.network else None if named else self.default

    def why_not(
        self,
        *,
        linear: bool,
        gradients: bool,
        after: bool | None = None,
        inattentive: str | None = None,
    ) -> str | None:
        """Why it cannot explain a network; None where it can.

        Args:
            linear: what follows the map is global average pooling and one linear layer.
            gradients: autograd can go through the network, which it cannot where OpenVINO reads it.
            after: the same of what follows the map; as for all of it, if that is not said.
            inattentive: what the network has in place of attention that can be explained.
        """
        if self.cost[1] == UNDEFINED and not linear:
            return "needs a network that ends in global average pooling and one linear layer"
        through = gradients if self.network or after is None else after
        back = self.network or (not linear and "backward" in self.cost[1])
        if back and not through:
            return "needs gradients, and this network is a program that has none"
        if self.attention and inattentive is not None:
            return f"needs tokens that all look at each other, and this network {inattentive}"
        return None


FREE, TAIL, UNDEFINED = "nothing", "tail forward + backward", "not defined"
BLOCKS = "forward + backward within each block"
MASKS = "K x forward, some 40 x with --converge"

FACTS: dict[str, Facts] = {
    facts.name: facts
    for facts in (
        Facts("cam", "Σ_k w_k A_k", "Zhou 2015, arXiv 1512.04150", (FREE, UNDEFINED), signed=True),
        Facts(
            "gradcam",
            "Σ_k mean(g_k) A_k",
            "Selvaraju 2016, arXiv 1610.02391",
            (FREE, TAIL),
            equals="cam",
            signed=True,
            one_pass=True,
        ),
        Facts(
            "gradcam++",
            "Σ_k A_k Σ α max(g_k, 0)",
            "Chattopadhay 2017, arXiv 1710.11063",
            (FREE, TAIL),
            one_pass=True,
        ),
        Facts(
            "smoothgradcam++",
            "Grad-CAM++ with mean g, g², g³ over noisy images",
            "Omeiza 2019, arXiv 1908.01224",
            (FREE, "N x (forward + tail backward)"),
            equals="gradcam++",
            images=True,
        ),
        Facts(
            "hirescam",
            "Σ_k g_k ⊙ A_k",
            "Draelos 2020, arXiv 2011.08891",
            (FREE, TAIL),
            equals="cam",
            signed=True,
            one_pass=True,
        ),
        Facts(
            "elementwise",
            "Σ_k max(g_k ⊙ A_k, 0)",
            "pytorch-grad-cam, GradCAMElementWise",
            (FREE, TAIL),
            one_pass=True,
        ),
        Facts(
            "xgradcam",
            "Σ_k A_k Σ(A_k g_k)/ΣA_k",
            "Fu 2020, arXiv 2008.02312",
            (FREE, TAIL),
            equals="cam",
            signed=True,
            one_pass=True,
        ),
        Facts(
            "layercam",
            "Σ_k max(g_k, 0) ⊙ A_k",
            "Jiang 2021, 10.1109/TIP.2021.3089943",
            (FREE, TAIL),
            one_pass=True,
        ),
        Facts(
            "refinecam",
            "Π_l LayerCAM_l / max, of the last map of each of the last 3 sizes l",
            "Domeniconi 2026, arXiv 2605.14641, with LayerCAM as its base",
            ("tail forward + backward of each l", "tail forward + backward of each l"),
            joins=True,
        ),
        Facts(
            "finercam",
            "Grad-CAM of S_c - mean of the 3 classes nearest in score",
            "Zhang 2025, arXiv 2501.11309",
            (FREE, TAIL),
            signed=True,
            one_pass=True,
            own_score=True,
        ),
        Facts(
            "shapleycam",
            "Σ_k A_k mean(g_k - ½ (H A)_k)",
            "Cai 2025, arXiv 2501.06261",
            (FREE, TAIL + ", again if it bends"),
            equals="cam",
            signed=True,
        ),
        Facts(
            "eigengradcam",
            "first principal component of g ⊙ A",
            "after Muhammad 2020, arXiv 2008.00299",
            ("SVD", TAIL + " + SVD"),
            weighted=False,
        ),
        Facts(
            "eigencam",
            "first principal component of A",
            "Muhammad 2020, arXiv 2008.00299",
            ("SVD", "SVD"),
            class_specific=False,
            weighted=False,
        ),
        Facts(
            "kpcacam",
            "first kernel principal component of A",
            "Karmani 2024, arXiv 2410.00267",
            ("SVD", "SVD"),
            class_specific=False,
            weighted=False,
        ),
        Facts(
            "fem",
            "Σ_k A_k share(A_k > mean + 2σ)",
            "Fuad 2020, hal-02963298",
            (FREE, FREE),
            class_specific=False,
        ),
        Facts(
            "ablationcam",
            "Σ_k A_k (S - S_k)/|S|",
            "Desai 2020, 10.1109/WACV45572.2020.9093360",
            (FREE, "K x tail forward"),
            signed=True,
        ),
        Facts(
            "reciprocam",
            "M_ij = S(A ⊙ window_ij) - S(0)",
            "Byun 2022, arXiv 2209.14074",
            (FREE, "h·w x tail forward"),
            signed=True,
            weighted=False,
        ),
        Facts(
            "scorecam",
            "Σ_k A_k p_c(x ⊙ mask_k)",
            "Wang 2019, arXiv 1910.01279",
            (MASKS, MASKS),
            score="probability",
            images=True,
            own_score=True,
        ),
        Facts(
            "scorecam-softmax",
            "Σ_k A_k softmax_k(S(x ⊙ mask_k))",
            "as pytorch-grad-cam computes Score-CAM",
            ("K x forward", "K x forward"),
            images=True,
            own_score=True,
        ),
        Facts(
            "sscam",
            "Score-CAM, mean over N noisy masks",
            "Wang 2020, arXiv 2006.14255",
            ("N·K x forward", "N·K x forward"),
            score="probability",
            images=True,
            own_score=True,
        ),
        Facts(
            "iscam",
            "Score-CAM, mean over masks i/N · mask_k",
            "Naidu 2020, arXiv 2010.03023",
            ("N·K x forward", "N·K x forward"),
            score="probability",
            images=True,
            own_score=True,
        ),
        Facts(
            "fullgrad",
            "ψ(x ⊙ ∂S/∂x) + Σ_l Σ_k ψ(b_lk ∂S/∂y_lk) over all layers l",
            "Srinivas 2019, arXiv 1905.00780",
            ("forward + backward", "forward + backward"),
            network=True,
            weighted=False,
            own_score=True,  # its map has no sign: of a difference it would be one for both classes
        ),
        Facts(
            "attnlrp",
            "Σ_k g_k ⊙ A_k, g by AttnLRP's rules",
            "Achtibat 2024, arXiv 2402.05602",
            ("forward + backward", "forward + backward"),
            signed=True,
            weighted=False,
            default=FIRST,
        ),
        Facts(
            "legrad",
            "mean over blocks l, heads, queries of max(∂s_l/∂P_l, 0), s_l the score of block l",
            "Bousselham 2024, arXiv 2404.03214",
            (BLOCKS, BLOCKS),
            network=True,
            weighted=False,
            attention=True,
        ),
        Facts(
            "chefer",
            "the class token's row of Π_l (I + mean over heads of max(P_l ⊙ ∂S/∂P_l, 0))",
            "Chefer 2021, arXiv 2103.15679",
            ("forward + backward", "forward + backward"),
            network=True,
            weighted=False,
            attention=True,
        ),
        Facts(
            "rollout",
            "the class token's row of Π_l ½ (I + mean over heads of P_l)",
            "Abnar 2020, arXiv 2005.00928",
            ("forward", "forward"),
            class_specific=False,
            network=True,
            weighted=False,
            attention=True,
        ),
        Facts(
            "random",
            "Σ_k v_k A_k, v_k drawn evenly from [-1, 1]",
            "the control",
            (FREE, FREE),
            class_specific=False,
        ),
    )
}


AUTO = Facts(
    "auto",
    "the method that suits the network",
    "camcli.cam.automatic",
    (FREE, TAIL),
    signed=True,
)
"""No method, but what stands for one until the network is known. What is refused of it would be
refused of every method that it may become."""

DIFFCAM = "diffcam"
"""Of a network that says how different a photograph is (--against), Grad-CAM is DiffCAM: Li et al.,
CVPR 2025, weigh the channels by the direction in which a photograph differs from references, which
is the gradient of that difference. It is another name, for such a network alone."""


def check_difference(methods: str, compares: bool) -> None:
    """Refuse DiffCAM where nothing is compared with, and where something is what needs a class.

    Args:
        methods: as the user named them, with commas between several.
        compares: whether there are references.

    Raises:
        UsageError: one of these is among them.
    """
    names = [_plain(name) for name in methods.split(",")]
    if not compares and DIFFCAM in names:
        raise UsageError(
            "diffcam shows how a photograph differs from others: --against FOLDER names them."
        )
    for facts in [FACTS[name] for name in names if compares and name in FACTS]:
        reads = "follows attention to" if facts.attention else "is the linear layer of"
        if facts.attention or facts.cost[1] == UNDEFINED:
            raise UsageError(
                f"{facts.name} {reads} the network's own answer, and --against asks how its "
                "features differ: take diffcam."
            )


TRAINED = Facts(
    "trained-on-boxes",
    "σ(w * A + b) - q, with w, b and q from boxes: no explanation of a class",
    "after Choe 2020, arXiv 2001.07437",
    (FREE, UNDEFINED),
    class_specific=False,
    weighted=False,
)
"""A checkpoint's localizer. It explains nothing, so it is not among `FACTS`; where a map is asked
for it is a method like any other, by this name, which rows, pictures and pages show."""
_OTHER_NAMES = {"localizer": TRAINED.name}
NAMED = {**FACTS, TRAINED.name: TRAINED}
"""All that a map can be made by."""


def of_no_class(name: str | None) -> bool:
    """Whether maps of the method of this name are the same for every class; None has no maps."""
    facts = NAMED.get(name or "")
    return facts is not None and not facts.class_specific


def find_facts(name: str) -> Facts:
    """The method called `name`; case and ``-``/``_`` do not matter, ``pp`` is ``++``.

    ``auto`` is `AUTO`, which `camcli.cam.automatic.suited` makes a method of.

    Raises:
        UsageError: there is no such method; names the nearest.
    """
    key = _plain(name)
    known = {_plain(known): facts for known, facts in (NAMED | {AUTO.name: AUTO}).items()}
    known[DIFFCAM] = FACTS["gradcam"]
    key = _plain(_OTHER_NAMES.get(key, key))
    if key in known:
        return known[key]
    if "," in name:
        raise UsageError(
            f"One method at a time here, not {name!r}: 'camcli explain' draws several beside each "
            "other, and 'camcli evaluate' measures them."
        )
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean {known[near[0]].name!r}?" if near else ""
    raise UsageError(f"Unknown method {name!r}.{hint} Choose auto, or one of {', '.join(FACTS)}.")


def _plain(name: str) -> str:
    key = name.strip().lower().replace("-", "").replace("_", "")
    return key.replace("plusplus", "++").replace("campp", "cam++")
