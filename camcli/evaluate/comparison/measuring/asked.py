"""What the network says of changed photographs, by metric: one map, one photograph."""

from __future__ import annotations

from torch import Tensor

from camcli.cam.map_options import MapOptions
from camcli.cam.margins import without_margins
from camcli.evaluate.measured.seen import Seen, heat_on, logit_of, mapper, probability_of
from camcli.evaluate.measured.square_canvas import centre_gaussian
from camcli.evaluate.metrics import faithfulness as faith
from camcli.evaluate.metrics import shape
from camcli.models.classifier import Classifier


def heat_of(seen: Seen, how: MapOptions | None, method: str) -> Tensor:
    """A method's map of a photograph, (H, W) in [0, 1]; a Gaussian in the middle without a how."""
    return heat_on(seen.image, centre_gaussian() if how is None else seen.maps[method])


def shape_of(seen: Seen, how: MapOptions | None, method: str) -> dict[str, float]:
    """How small the heat of one map is; the network is not asked."""
    heat = heat_of(seen, how, method)
    return {"sparseness": shape.sparseness(heat), "complexity": shape.complexity(heat)}


def faithfulness_of(
    classifier: Classifier, seen: Seen, how: MapOptions | None, method: str, seed: int
) -> dict[str, float]:
    """All faithfulness metrics of one map, or of a Gaussian in the middle where there is no how.

    What a network loses without the middle of a photograph is its own affair, so here this control
    is of each network.
    """
    heat = heat_of(seen, how, method)
    p = probability_of(classifier, seen.index)
    drop, increase = faith.average_drop(seen.image, heat, p)
    road = faith.road(seen.image, heat, p, seed=seed)
    coherent = coherency_of(classifier, seen, how, heat)
    mean = shape.mean_heat(heat)
    row = {
        "deletion": faith.deletion(seen.image, heat, p),
        "insertion": faith.insertion(seen.image, heat, p),
        "average_drop": drop,
        "average_increase": increase,
        "road": road,
        "coherency": coherent,
        "adcc": shape.adcc(drop, coherent, mean),
        "arcc": shape.arcc(road, coherent, mean),
        "infidelity": faith.infidelity(
            seen.image, heat, logit_of(classifier, seen.index), seed=seed
        ),
    }
    # Methods with one pass a channel would take hours for the eight changed images.
    if how is not None and how.is_cheap(classifier):
        row["max_sensitivity"] = faith.max_sensitivity(
            seen.image, mapper(classifier, seen, how), seed=seed
        )
    return row


def coherency_of(classifier: Classifier, seen: Seen, how: MapOptions | None, heat: Tensor) -> float:
    """`shape.coherency` of one map, made again in the same way; the control never differs: 1.

    An empty map shows the network a grey picture: there is nothing to agree with, so it has 0.
    """
    if not bool(heat.any()):
        return 0.0
    if how is None:
        return 1.0
    again = mapper(classifier, seen, how)

    def explain(image: Tensor) -> Tensor:
        heatmap = again(image[None])[0].numpy()
        return heat_on(image, without_margins(heatmap, seen.view, seen.size))

    return shape.coherency(seen.image, heat, explain)
