"""Options of a map: layers fused, smoothing, another class; and which of them mean nothing."""

from __future__ import annotations

import pytest
import timm
import torch

from camcli.batch.explain import make_explanation
from camcli.cam.explainer import fused, maps_of
from camcli.cam.map_options import Effort, make_map_options
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.spec import layer_names


@pytest.fixture(scope="module")
def seen(bundled, photos):
    return bundled.look(torch.stack([bundled.preprocess.pixels(photo) for photo in photos[:2]]))


def test_fusing_by_hand():
    coarse = torch.tensor([[[4.0, -2], [0, 0]]])
    fine = torch.zeros(1, 4, 4)
    fine[0, 0, 0], fine[0, 3, 3] = 0.5, 0.25
    # Bilinear without aligned corners: the corner keeps its value, 1 after scaling.
    assert fused([coarse, fine], "mean")[0, 0, 0] == 1
    assert fused([coarse, fine], "mean")[0, 3, 3] == 0.25
    assert fused([coarse, fine], "max")[0, 3, 3] == 0.5
    assert fused([coarse, fine], "product")[0, 3, 3] == 0
    assert fused([coarse, fine], "product")[0, 0, 0] == 1
    assert fused([-coarse.abs(), fine], "mean").max() == 0.5, "an empty layer adds nothing"


def test_several_layers_of_one_network(bundled, photos, seen):
    both = load_classifier(layer="blocks.3,last")
    assert both.layer == "blocks.3.2,bn2"
    pixels = torch.stack([bundled.preprocess.pixels(photo) for photo in photos[:2]])
    look = both.look(pixels)
    torch.testing.assert_close(look.logits, seen.logits, rtol=1e-3, atol=1e-3)
    assert [tuple(part.A.shape[2:]) for part in look.parts] == [(14, 14), (7, 7)]
    assert look.parts[0].head is None
    assert look.parts[1].head is not None
    index = look.logits.argmax(1)
    maps = maps_of(both, look, index, make_map_options("gradcam", fuse="max"))
    assert maps.shape == (2, 14, 14)
    assert maps.max() <= 1
    # The default cut's map is the closed form there, too.
    last = maps_of(bundled, seen, index, make_map_options("gradcam"))
    alone = fused([torch.zeros(2, 14, 14), last], "max")
    assert (maps >= alone - 1e-3).all()


def test_a_layer_whose_map_can_only_be_empty_is_refused():
    """A ViT's last norm: of its tokens the prediction takes the class token alone."""
    vit = timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=64, patch_size=16, depth=2, embed_dim=24
    )
    classifier, fine = (
        cut_classifier(
            vit, classes=tuple("abcde"), preprocess=Preprocess(size=64), layers=layers,
            provenance=Provenance("vit", "random", None, "random"), device=torch.device("cpu"),
        )
        for layers in (("blocks.0", "norm"), ("blocks.0",))
    )  # fmt: skip
    for method in ("gradcam", "layercam", "ablationcam", "reciprocam", "shapleycam"):
        with pytest.raises(UsageError, match="map of 'norm'"):
            make_explanation(classifier, method)
        assert make_explanation(fine, method)
    for method in ("eigencam", "scorecam", "random"):
        assert make_explanation(classifier, method), "looks at more than the map's influence"


@pytest.mark.parametrize("text", ["", "a,,b", "a,a", ","])
def test_odd_lists_of_layers(text):
    with pytest.raises(UsageError, match="--layer"):
        layer_names(text)


def test_smoothing_leaves_the_predictions_and_changes_the_map(bundled, seen):
    index = seen.logits.argmax(1)
    before = seen.logits.clone()
    plain = maps_of(bundled, seen, index, make_map_options("gradcam"))
    for smooth, samples in (("aug", None), ("noise", 2), ("eigen", None)):
        how = make_map_options("gradcam", smooth=smooth, samples=samples)
        got = maps_of(bundled, seen, index, how)
        assert torch.equal(seen.logits, before)
        near = torch.cosine_similarity(got.flatten(1), plain.flatten(1))
        assert near.min() > 0.7
        assert near.max() < 0.99999
        assert torch.equal(got, maps_of(bundled, seen, index, how)), "not the same again"


def test_noise_does_not_depend_on_the_batch(bundled, photos, seen):
    how = make_map_options("gradcam", smooth="noise", samples=2)
    together = maps_of(bundled, seen, seen.logits.argmax(1), how)
    alone = bundled.look(bundled.preprocess.pixels(photos[1])[None])
    got = maps_of(bundled, alone, alone.logits.argmax(1), how)
    torch.testing.assert_close(got[0], together[1], rtol=1e-3, atol=1e-3 * float(got.max()))


def test_versus_is_a_difference_of_maps(bundled, seen):
    """For logits and a linear head: M(cat versus dog) = M(cat) - M(dog)."""
    what = make_explanation(bundled, "cam", target="tabby", versus="golden retriever")
    cat, dog = (bundled.classes.index(name) for name in ("tabby", "golden retriever"))
    assert what.how.versus == dog
    maps = [
        maps_of(bundled, seen, torch.tensor([c, c]), make_map_options("cam")) for c in (cat, dog)
    ]
    got = maps_of(bundled, seen, torch.tensor([cat, cat]), what.how)
    torch.testing.assert_close(got, maps[0] - maps[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("gradcam", {"channels": 5}, "--channels"),
        ("gradcam", {"converge": 0.9}, "--converge"),
        ("layercam", {"converge": 0.98}, "--channels and --converge are for"),
        ("scorecam", {"channels": 0}, "1 or more"),
        ("scorecam", {"converge": 1.5}, "between 0 and 1"),
        ("gradcam", {"samples": 4}, "--samples is for"),
        ("gradcam", {"smooth": "noise", "samples": 0}, "give 1 to"),
        ("eigencam", {"smooth": "eigen"}, "no channel weights|needs channel weights"),
        ("eigencam", {"score": "contrast"}, "looks at no class"),
        ("gradcam", {"smooth": "blur"}, "aug, noise, eigen"),
        ("gradcam", {"fuse": "sum"}, "mean, max, product"),
        ("gradcam", {"score": "loss"}, "logit, probability, contrast"),
    ],
)
def test_options_that_mean_nothing_are_refused(method, options, said):
    with pytest.raises(UsageError, match=said):
        make_map_options(method, **options)


def test_refused_with_a_network(bundled):
    with pytest.raises(UsageError, match="nothing is left"):
        make_explanation(bundled, target="tabby", versus="tabby")
    with pytest.raises(UsageError, match="--layer a,b,c"):
        make_explanation(bundled, make_map_options("gradcam", fuse="max"))


def test_only_what_differs_is_recorded():
    assert make_map_options("gradcam").options() == {}
    how = make_map_options("scorecam", channels=64)
    assert how.options() == {"channels": 64}
    assert how.effort == Effort(channels=64)


@pytest.mark.parametrize(
    ("method", "options", "passes"),
    [
        ("gradcam", {}, 1),
        ("smoothgradcam++", {}, 1),  # closed for a linear head
        ("gradcam", {"smooth": "aug"}, 6),
        ("gradcam", {"smooth": "noise", "samples": 5}, 5),
        ("scorecam", {}, 1280),
        ("scorecam", {"channels": 64}, 64),
        ("sscam", {"channels": 64, "samples": 3}, 192),
        ("iscam", {"converge": 0.98, "channels": 16}, 128),
    ],
)
def test_passes_of_one_map(bundled, method, options, passes):
    assert make_map_options(method, **options).passes(bundled) == passes


def test_a_map_that_stops_early_is_counted_so(bundled):
    assert 16 < make_map_options("scorecam", converge=0.98).passes(bundled) < 100
