from time import process_time

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from sklearn.metrics import average_precision_score, jaccard_score, roc_auc_score

from camcli.errors import UsageError
from camcli.evaluate.measured import square_canvas
from camcli.evaluate.measured.annotations import truth_of
from camcli.evaluate.measured.square_canvas import SIDE, Truth, paint
from camcli.evaluate.metrics.bootstrap import intervals
from camcli.evaluate.metrics.localization import (
    BoxAccuracy,
    Localization,
    PerImage,
    Pixels,
    correlation,
    energy,
    iou,
    kl_divergence,
    pointing,
)


def score_of(*parts):
    """A map with (x0, y0, x1, y1, value) rectangles."""
    score = np.zeros((SIDE, SIDE), np.float32)
    for x0, y0, x1, y1, value in parts:
        score[y0:y1, x0:x1] = value
    return score


def truth(*boxes, **more):
    return Truth(np.array(boxes, np.float64).reshape(-1, 4), **more)


def test_iou_by_hand():
    boxes = np.array([[0, 0, 2, 2], [5, 5, 5, 5]], float)
    others = np.array([[1, 0, 3, 2], [0, 0, 2, 2], [9, 9, 10, 10]], float)
    np.testing.assert_allclose(iou(boxes, others), [[1 / 3, 1, 0], [0, 0, 0]])


def test_the_box_of_a_rectangle_is_the_rectangle():
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((40, 60, 120, 100, 1)), truth((40, 60, 120, 100)))
    assert (boxes.curve(0.999) == 1).all()
    assert boxes.compute()["maxboxacc_v2"] == 1


def test_maxboxacc_by_hand():
    # A: core 100x100 is right (IoU 1) above 0.5; below, the halo gives 100²/200² = 0.25.
    # B: only the wide one is right, and only at or below 0.5. No threshold serves both.
    boxes = BoxAccuracy()
    core, halo = (50, 50, 150, 150), (0, 0, 200, 200)
    score = score_of((*halo, 0.5), (*core, 1))
    boxes.accumulate(score, truth(core))
    boxes.accumulate(score, truth(halo))
    assert boxes.compute()["maxboxacc"] == 0.5
    curve = boxes.curve(0.5)
    # 0.5 is level 127: strictly above 126 the halo is in, strictly above 127 it is not.
    assert curve.tolist() == [0.5] * 255
    alone = BoxAccuracy()
    alone.accumulate(score, truth(core))
    assert alone.curve(0.5).tolist() == [0.0] * 127 + [1.0] * 128
    assert alone.at({0.5: 126}) == {0.5: 0.0}
    assert alone.at({0.5: 127}) == {0.5: 1.0}
    assert alone.chosen()[0.5] >= 127


def test_largest_contour_for_v1_any_for_v2():
    boxes = BoxAccuracy()
    boxes.accumulate(
        score_of((0, 0, 60, 60, 1), (150, 150, 180, 180, 1)), truth((150, 150, 180, 180))
    )
    found = boxes.compute()
    assert found["maxboxacc"] == 0
    assert found["maxboxacc_v2@70"] == 1


def test_v2_averages_three_ious_each_with_its_own_threshold():
    # IoU of the only box: 60*100/100² = 0.6.
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((0, 0, 60, 100, 1)), truth((0, 0, 100, 100)))
    found = boxes.compute()
    assert [found[f"maxboxacc_v2@{t}"] for t in (30, 50, 70)] == [1, 1, 0]
    assert found["maxboxacc_v2"] == pytest.approx(2 / 3)


def test_iou_at_the_threshold_counts():
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((0, 0, 50, 100, 1)), truth((0, 0, 100, 100)))
    assert boxes.compute()["maxboxacc"] == 1


@pytest.mark.parametrize(("height", "right"), [(100, True), (99, True), (50, True), (49, False)])
def test_a_localization_is_right_from_one_half_on(height, right):
    """Of 100 rows: an IoU of exactly one half is enough, also for the error."""
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((0, 0, 80, height, 1)), truth((0, 0, 80, 100)), (True, True))
    found = boxes.compute()
    assert found["maxboxacc"] == right
    assert found["top1_loc_error"] == found["top5_loc_error"] == 1 - right


def test_any_of_several_true_boxes():
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((0, 0, 60, 60, 1)), truth((100, 100, 200, 200), (0, 0, 60, 60)))
    assert boxes.compute()["maxboxacc"] == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_empty_and_constant_maps(value):
    score = np.full((SIDE, SIDE), value, np.float32)
    boxes = BoxAccuracy()
    boxes.accumulate(score, truth((0, 0, SIDE, SIDE)))
    # Everything above 0 is the whole frame; nothing is above 0 in an empty map.
    assert boxes.compute()["maxboxacc"] == value
    assert pointing(np.zeros_like(score), truth((0, 0, SIDE, SIDE))) == 0
    assert energy(np.zeros_like(score), truth((0, 0, 9, 9))) == 0
    half = square_canvas.fill(np.array([[0, 0, SIDE / 2, SIDE]]))
    assert correlation(score, half) == 0
    assert kl_divergence(score, half) == pytest.approx(np.log(2))
    pixels = Pixels()
    pixels.accumulate(score, truth(mask=half))
    found = pixels.compute()
    assert found["pixel_auc"] == pytest.approx(0.5)
    assert found["pxap"] == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5, -0.1])
def test_nan_and_unscaled_maps_are_refused(bad):
    score = score_of((0, 0, 9, 9, bad))
    with pytest.raises(ValueError, match="finite"):
        BoxAccuracy().accumulate(score, truth((0, 0, 9, 9)))
    with pytest.raises(ValueError, match="finite"):
        Pixels().accumulate(score, truth((0, 0, 9, 9), mask=score > 2))


def test_photographs_without_boxes_do_not_count():
    boxes = BoxAccuracy()
    boxes.accumulate(score_of((0, 0, 60, 60, 1)), truth((0, 0, 60, 60)))
    boxes.accumulate(score_of((0, 0, 60, 60, 1)), truth())
    assert boxes.compute()["maxboxacc"] == 1
    none = BoxAccuracy()
    none.accumulate(score_of((0, 0, 60, 60, 1)), truth())
    assert none.compute() == {}


def test_localization_error_needs_box_and_class():
    boxes = BoxAccuracy()
    score, box = score_of((0, 0, 60, 60, 1)), (0, 0, 60, 60)
    boxes.accumulate(score, truth(box), (True, True))
    boxes.accumulate(score, truth(box), (False, True))
    boxes.accumulate(score, truth(box), (False, False))
    boxes.accumulate(score, truth((100, 100, 200, 200)), (True, True))
    found = boxes.compute()
    assert found["top1_loc_error"] == pytest.approx(3 / 4)
    assert found["top5_loc_error"] == pytest.approx(1 / 2)
    boxes.accumulate(score, truth(box), None)  # a photograph of unknown class: not defined
    assert "top1_loc_error" not in boxes.compute()


@pytest.fixture
def random_set():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 256, (3, SIDE, SIDE)) / np.float32(255)
    scores = (scores + 1e-4).clip(0, 1).astype(np.float32)
    masks = [(rng.random((SIDE, SIDE)) + s) > 1.1 for s in scores]
    ignores = [rng.random((SIDE, SIDE)) > 0.8, None, rng.random((SIDE, SIDE)) > 0.5]
    return scores, masks, ignores


def test_pixel_metrics_equal_scikit_learn(random_set):
    pixels = Pixels(threshold=0.4)
    kept, gold, ious = [], [], []
    for score, mask, ignore in zip(*random_set, strict=True):
        pixels.accumulate(score, truth(mask=mask, ignore=ignore))
        keep = np.ones_like(mask) if ignore is None else ~ignore
        levels = (score * 255).astype(int)[keep]
        kept.append(levels)
        gold.append(mask[keep])
        ious.append([jaccard_score(mask[keep], levels > t) for t in (100, 128, 150)])
    kept, gold = np.concatenate(kept), np.concatenate(gold)
    found = pixels.compute()
    assert found["pxap"] == pytest.approx(average_precision_score(gold, kept), abs=1e-9)
    assert found["pixel_auc"] == pytest.approx(roc_auc_score(gold, kept), abs=1e-9)
    assert found["tpr"] == pytest.approx((kept > 102)[gold].mean())
    assert found["fpr"] == pytest.approx((kept > 102)[~gold].mean())
    assert found["iou"] >= np.mean(ious, 0).max() - 1e-12
    assert found["iou"] <= np.mean(ious, 0).max() + 0.02


def test_best_iou_of_a_perfect_map_is_one():
    mask = square_canvas.fill(np.array([[3, 3, 90, 70]]))
    pixels = Pixels()
    pixels.accumulate(mask.astype(np.float32), truth(mask=mask))
    found = pixels.compute()
    assert {k: found[k] for k in ("pxap", "pixel_auc", "tpr", "fpr", "iou")} == {
        "pxap": 1, "pixel_auc": 1, "tpr": 1, "fpr": 0, "iou": 1,
    }  # fmt: skip


def test_density_metrics_equal_scipy_and_numpy(random_set):
    score, mask, ignore = (part[0] for part in random_set)
    keep = ~ignore
    p, q = mask[keep] / mask[keep].sum(), score[keep].astype(float)
    assert kl_divergence(score, mask, ignore) == pytest.approx(
        rel_entr(p, q / q.sum()).sum(), abs=1e-6
    )
    assert correlation(score, mask, ignore) == pytest.approx(
        np.corrcoef(score[keep], mask[keep])[0, 1], abs=1e-6
    )


def test_pointing_with_tolerance_in_the_photographs_pixels():
    score = score_of((100, 50, 101, 51, 1))
    # 10 canvas pixels to the right of the box's last pixel; in a 448-wide photograph 20 pixels.
    box = (20, 20, 91, 100)
    assert pointing(score, truth(box, size=(224, 224)), 10) == 1
    assert pointing(score, truth(box, size=(224, 224)), 9.9) == 0
    assert pointing(score, truth(box, size=(448, 224)), 19.9) == 0
    assert pointing(score, truth(box, size=(448, 224)), 20) == 1
    assert pointing(score_of((30, 30, 32, 31, 1), (150, 0, 152, 1, 1)), truth(box), 0) == 0.5


@pytest.mark.parametrize("seed", range(4))
def test_pointing_of_many_maxima_is_that_of_each_with_the_nearest_pixel(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[tuple(rng.integers(0, SIDE, (2, 40)))] = True
    score = np.zeros((SIDE, SIDE), np.float32)
    score[tuple(rng.integers(0, SIDE, (2, 300)))] = 1
    size = (int(rng.integers(50, 900)), int(rng.integers(50, 900)))
    pixels, points = np.argwhere(mask), np.argwhere(score)
    away = (points[:, None] - pixels) * np.array([size[1], size[0]]) / SIDE
    nearest = np.sqrt((away**2).sum(2)).min(1)
    tolerance = float(np.median(nearest)) + 1e-6
    found = pointing(score, Truth(mask=mask, boxes=np.zeros((0, 4)), size=size), tolerance)
    assert found == pytest.approx((nearest <= tolerance).mean())
    assert 0.4 < found < 0.7


def test_a_flat_map_is_pointed_with_in_no_time():
    """Each of its pixels is a maximum; all of them with all of the object's took ten seconds."""
    start = process_time()
    share = pointing(np.ones((SIDE, SIDE), np.float32), truth((0, 0, SIDE, SIDE // 2)), 0.5)
    assert share == 0.5
    assert process_time() - start < 1


def test_energy_by_hand():
    score = score_of((0, 0, 10, 10, 0.5), (100, 100, 110, 110, 1))
    assert energy(score, truth((0, 0, 20, 20))) == pytest.approx(1 / 3)
    ignore = square_canvas.fill(np.array([[100, 100, 105, 110]]))
    assert energy(score, truth((0, 0, 20, 20), ignore=ignore)) == pytest.approx(1 / 2)


def test_means_over_photographs_that_have_the_number():
    each = PerImage()
    each.accumulate(score_of((0, 0, 9, 9, 1)), truth((0, 0, 20, 20)))
    each.accumulate(score_of((0, 0, 9, 9, 1)), truth((100, 100, 120, 120)))
    each.accumulate(score_of((0, 0, 9, 9, 1)), truth())
    assert each.compute() == {"pointing": 0.5, "energy": 0.5}
    assert each.compute(np.array([3, 1, 5])) == {"pointing": 0.75, "energy": 0.75}


def test_weights_equal_repeated_photographs(random_set):
    weighted, repeated = Localization(), Localization()
    counts = np.array([2, 0, 3])
    for n, (score, mask, ignore) in enumerate(zip(*random_set, strict=True)):
        # A few blobs: noise has thousands of contours at each level.
        score = paint(score[:7, :7], (0, 0, SIDE, SIDE), (SIDE, SIDE))
        where = truth(
            tuple(square_canvas.box_of(mask)[0] - [0, 0, 60 * n, 40]), mask=mask, ignore=ignore
        )
        weighted.accumulate(score, where)
        for _ in range(counts[n]):
            repeated.accumulate(score, where)
    assert weighted.compute(counts) == pytest.approx(repeated.compute())


def test_threshold_is_checked():
    with pytest.raises(UsageError, match="threshold"):
        Pixels(1.0)


# -- the canvas ---------------------------------------------------------------------------------


def test_paint_is_bilinear_without_aligned_corners():
    heatmap = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    painted = paint(heatmap, (0, 0, 640, 480), (640, 480), "minmax")
    small = (heatmap - heatmap.min()) / np.ptp(heatmap)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None, None], (SIDE, SIDE), mode="bilinear"
    )[0, 0].numpy()
    # cv2.remap counts in 1/32 of a cell.
    np.testing.assert_allclose(painted, expected, atol=0.03)


def test_what_the_network_did_not_see_is_cold():
    painted = paint(np.ones((2, 2), np.float32) + np.eye(2, dtype=np.float32),
                    (100, 0, 300, 200), (400, 200))  # fmt: skip
    assert (painted[:, :56] == 0).all()
    assert (painted[:, 168:] == 0).all()
    assert (painted[:, 56:168] >= 0.5).all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 3.0])
@pytest.mark.parametrize("scale", ["relu", "minmax"])
def test_constant_maps_are_empty(value, scale):
    assert not paint(np.full((3, 3), value, np.float32), (0, 0, 9, 9), (9, 9), scale).any()


def test_negative_maps_are_empty_unless_min_max():
    heatmap = np.array([[-2, -1]], np.float32)
    assert not paint(heatmap, (0, 0, 9, 9), (9, 9)).any()
    assert paint(heatmap, (0, 0, 9, 9), (9, 9), "minmax").max() == 1


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        paint(np.array([[np.nan, 1]], np.float32), (0, 0, 9, 9), (9, 9))


def test_centre_box_finds_every_centred_box():
    for half in (30, 70, 100):
        boxes = BoxAccuracy()
        box = (112 - half, 112 - half, 112 + half, 112 + half)
        boxes.accumulate(square_canvas.centre_box(), truth(box))
        assert boxes.curve(0.97).max() == 1


def test_centre_gaussian_is_symmetric_and_peaks_in_the_middle():
    bump = square_canvas.centre_gaussian()
    np.testing.assert_array_equal(bump, bump[::-1, ::-1])
    np.testing.assert_array_equal(bump, bump.T)
    assert bump.max() == 1 == bump[111, 112]


def test_boxes_on_the_canvas():
    where = truth_of((448, 112), [(0, 0, 448, 112), (112, 28, 900, 56), (500, 0, 600, 9)])
    np.testing.assert_allclose(where.boxes, [[0, 0, 224, 224], [56, 56, 224, 112]])
    mask = np.zeros((112, 448), bool)
    mask[28:56, 112:336] = True
    where = truth_of((448, 112), mask=mask)
    np.testing.assert_allclose(where.boxes, [[56, 56, 168, 112]])
    assert where.mask.sum() == 112 * 56


# -- the bootstrap ------------------------------------------------------------------------------


def test_bootstrap_interval_of_a_mean_is_that_of_statistics():
    values = np.random.default_rng(1).normal(size=400)
    low, high = intervals(lambda w: {"mean": w @ values / w.sum()}, 400, repeats=2000)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_thousands_of_boxes_on_one_photograph_are_compared_in_parts(monkeypatch):
    from camcli.evaluate.metrics import localization

    rng = np.random.default_rng(0)
    score = rng.random((SIDE, SIDE))  # hundreds of parts at each level
    corners = rng.uniform(0, SIDE - 40, (300, 2))
    truth = Truth(np.hstack([corners, corners + rng.uniform(5, 40, (300, 2))]), None)
    found = []
    for pairs in (1 << 20, 1000):
        monkeypatch.setattr(localization, "_PAIRS", pairs)
        metric = localization.BoxAccuracy()
        metric.accumulate(score[::8, ::8].repeat(8, 0).repeat(8, 1), truth)
        found.append((metric._largest[0], metric._any[0]))
    assert np.array_equal(found[0], found[1])
