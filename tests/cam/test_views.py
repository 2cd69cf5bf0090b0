"""A photograph seen twice: where the network's own view lies, and the mean of both maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.cam.explainer import check_influence, maps_of
from camcli.cam.map_options import check_signed, check_views, make_map_options
from camcli.cam.method_facts import FACTS
from camcli.cam.views import WHOLE, cut_out, framed, joined, own_frames
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.measured.seen import mapper, see_photographs
from camcli.models.classifier import cut_classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import Provenance

VIEWS = make_map_options("cam", smooth="views")
OWN = Preprocess(size=32, resize=32, fit="crop", mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture
def twice():
    """Maps are an image's channels at 1/4 of its size; shown whole at 64, own crop at 32."""
    module = nn.Sequential(
        nn.Conv2d(3, 3, 4, stride=4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, 3, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 4, 4) / 16)
        module[4].weight.copy_(torch.eye(3))
    made = cut_classifier(
        module.eval(), classes=("red", "green", "blue"), device=torch.device("cpu"),
        preprocess=OWN.with_(fit="squash", size=64),
        provenance=Provenance("by hand", None, None, "user", {}),
    )  # fmt: skip
    return replace(made, own=OWN)


def test_where_a_crop_lies_in_what_is_shown():
    """By hand: of 200x100 pixels the network itself sees the square in the middle, 50 to 150."""
    whole, crop = (0.0, 0.0, 200.0, 100.0), (50.0, 0.0, 150.0, 100.0)
    pad = (0.0, -50.0, 200.0, 150.0)
    frames = own_frames(OWN, [(whole, (200, 100)), (crop, (200, 100)), (pad, (200, 100))])
    assert frames == ((0.25, 0, 0.75, 1), WHOLE, (0.25, 0.25, 0.75, 0.75))
    # What is not shown cannot be seen.
    squash = OWN.with_(fit="squash")
    assert own_frames(squash, [(crop, (200, 100))]) == (WHOLE,)


def test_what_is_cut_out_and_where_it_was():
    ramp = torch.arange(16.0).expand(2, 3, 8, 16)
    made, frames = cut_out(ramp, ((0.25, 0, 0.75, 1), (0.26, 0, 0.76, 0.5)), (4, 4))
    assert made.shape == (2, 3, 4, 4)
    assert frames == ((0.25, 0, 0.75, 1), (0.25, 0, 0.75, 0.5)), "whole pixels"
    # Columns 4 to 11, two of each in one, with the filter's slope of one a column.
    torch.testing.assert_close(made[0, 0, 0, 1:3], torch.tensor([6.5, 8.5]))
    assert cut_out(ramp, ((0.999, 0.999, 1, 1),) * 2, (4, 4))[0].shape == (2, 3, 4, 4)


def test_two_maps_by_hand():
    """Each of its maximum, the own one where its frame is; evidence against is none."""
    shown = torch.tensor([[[4.0, 0, 0, -2], [0, 0, 0, 0]]])
    own = torch.tensor([[[0.5, 1.0]]])
    made = joined(shown, own, ((0.25, 0.0, 0.75, 1.0),))
    torch.testing.assert_close(made[0, 0], torch.tensor([0.5, 0.25, 0.5, 0.0]))
    torch.testing.assert_close(made[0, 1], torch.tensor([0.0, 0.25, 0.5, 0.0]))


def test_an_empty_map_adds_nothing_and_nan_is_not_hidden():
    good, flat = torch.tensor([[[0.0, 2.0]]]), torch.full((1, 1, 2), 3.0)
    for empty in (flat, -good, torch.zeros(1, 1, 2)):
        torch.testing.assert_close(joined(good, empty, (WHOLE,)), good / 4)
        torch.testing.assert_close(joined(empty, good, (WHOLE,)), good / 4)
        assert not joined(empty, empty, (WHOLE,)).any()
    assert joined(good, good * torch.nan, (WHOLE,)).isnan().any()
    assert joined(good * torch.nan, good, (WHOLE,)).isnan().any()


@given(
    st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3),
    st.tuples(*[st.floats(0, 0.45)] * 2, *[st.floats(0.55, 1)] * 2),
)  # fmt: skip
def test_how_large_a_methods_values_are_does_not_matter(seed, one, other, frame):
    """So that CAM and Grad-CAM, M and M/Z, stay one map; and no map depends on its neighbours."""
    noise = torch.Generator().manual_seed(seed)
    shown, own = torch.randn(2, 5, 7, generator=noise), torch.randn(2, 3, 4, generator=noise)
    frames = (frame, WHOLE)
    made = joined(shown, own, frames)
    assert made.min() >= 0
    assert made.max() <= 1
    torch.testing.assert_close(joined(one * shown, other * own, frames), made)
    torch.testing.assert_close(joined(shown[:1], own[:1], frames[:1]), made[:1])


def test_the_mean_of_the_maps_of_both_views(twice):
    """A wide photograph with red in the middle, and at its left end, which the crop lacks."""
    image = torch.zeros(1, 3, 64, 64)
    image[:, 0, :, :8] = 1
    image[:, 0, :, 24:40] = 0.5
    shown = [((0.0, 0.0, 128.0, 64.0), (128, 64))]
    look = framed(twice.see(image), twice, shown)
    assert look.frames == ((0.25, 0, 0.75, 1),)
    index = torch.tensor([0])
    made = maps_of(twice, look, index, VIEWS)[0]
    assert made.shape == (16, 16), "of what is shown"
    first = maps_of(twice, look, index, make_map_options("cam"))[0]
    second = maps_of(
        twice, twice.see(nn.functional.interpolate(image[..., 16:48], (32, 32), mode="bilinear")),
        index, make_map_options("cam"),
    )[0]  # fmt: skip
    assert first.max() > 1.9 * second.max(), "by itself it does not see the brightest part"
    torch.testing.assert_close(made[:, :4], first[:, :4] / first.max() / 2)
    inside = nn.functional.interpolate(second[None, None], (16, 8), mode="bilinear")[0, 0]
    torch.testing.assert_close(
        made[:, 4:12], (first[:, 4:12] / first.max() + inside / second.max()) / 2
    )
    gradcam = maps_of(twice, look, index, make_map_options("gradcam", smooth="views"))[0]
    torch.testing.assert_close(gradcam, made)
    # All of an image that is no photograph is seen.
    alone = maps_of(twice, twice.see(image), index, VIEWS)[0]
    assert not torch.allclose(alone, made)


def test_run_and_measurement_make_the_same_map(twice, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    ref = next(iter(find_images(tmp_path)))
    image = read(ref, twice, lambda rgb: rgb)
    result = explain_batch(twice, [image], make_explanation(twice, VIEWS))[0]
    assert result.status == "ok"
    plain = explain_batch(twice, [image], make_explanation(twice, "cam"))[0]
    high = plain.heats[0].heatmap.max()
    assert not np.allclose(result.heats[0].heatmap, plain.heats[0].heatmap / high, atol=0.05)
    seen = next(see_photographs(twice, [ref], {"cam": VIEWS}, predicted=True))
    np.testing.assert_array_equal(seen.maps["cam"], result.heats[0].heatmap)
    again = mapper(twice, seen, VIEWS)(seen.image[None])[0]
    np.testing.assert_allclose(again, seen.maps["cam"], atol=1e-6)


def test_there_have_to_be_two_views(twice):
    check_influence(VIEWS, twice)
    with pytest.raises(UsageError, match="the same twice: ask for a larger input"):
        check_influence(VIEWS, replace(twice, own=None))
    with pytest.raises(UsageError, match="the same twice"):
        check_views("views", None, None)
    check_views("views", "squash", None)
    check_views("views", None, 384)
    check_views("aug", None, None)
    with pytest.raises(UsageError, match="each of two is cut off at zero"):
        check_signed(VIEWS, "last")


def test_a_network_of_one_size_has_one_view():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2)
    )
    fixed = cut_classifier(
        module.eval(), classes=("a", "b"), device=torch.device("cpu"),
        preprocess=OWN.with_(size=64, fit="squash"),
        provenance=Provenance("fixed", None, None, "user", {}), layers=("1",),
    )  # fmt: skip
    with pytest.raises(UsageError, match="fixed cannot look at 64 and at its own 32 pixels"):
        check_influence(VIEWS, replace(fixed, own=OWN))
    same = replace(fixed, own=OWN.with_(size=64))
    check_influence(replace(VIEWS, method=FACTS["gradcam"]), same)  # another crop at the same size


def test_a_network_remembers_how_it_sees_by_itself(bundled):
    assert bundled.own is None
    made = load_classifier(fit="squash", input_size=96)
    assert made.own == bundled.preprocess
    assert (made.preprocess.fit, made.preprocess.size) == ("squash", 96)
