"""Thresholds of boxes: a share, Otsu's, and those that a calibration left."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from camcli.batch.explain import make_explanation
from camcli.cam.box_choice import chosen, described
from camcli.cam.box_threshold import (
    OTSU,
    asked_threshold,
    calibrations_toml,
    read_calibrations,
)
from camcli.cam.map_options import make_map_options, settled
from camcli.cam.postprocess import boxes_of, describe
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.box_calibration import Calibration, read_records
from camcli.models.loading.zoo import Provenance

WHOLE = (0.0, 0.0, 224.0, 224.0)


@pytest.fixture(scope="module")
def by_hand():
    """A network of three classes with a linear head."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    return cut_classifier(
        module.eval(), classes=("a", "b", "c"), device=torch.device("cpu"),
        preprocess=Preprocess(size=32, fit="squash"),
        provenance=Provenance("by hand", "none", "0" * 64, "user", {}),
    )  # fmt: skip


def pyramid(size=(224, 224)):
    """A map as large as its photograph that falls evenly from 1 in the middle to 0."""
    x, y = (1 - np.abs((np.arange(n) + 0.5) / n - 0.5) * 2 for n in size)
    return np.minimum(y[:, None], x).astype(np.float32)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.31, 0.5, 0.9])
def test_box_goes_around_what_is_above_the_share(share):
    heat = describe(pyramid(), WHOLE, (224, 224), target="a", index=0, prob=None, threshold=share)
    # By counting: the pixels of the photograph above this share of the map's maximum.
    above = np.argwhere(pyramid() > share * pyramid().max())
    (top, left), (bottom, right) = above.min(0), above.max(0) + 1
    assert heat.box == (left, top, right, bottom)
    assert boxes_of(pyramid(), WHOLE, (224, 224), [share, 0.2])[0] == heat.box


def test_twenty_percent_is_usual():
    common = {"target": "a", "index": 0, "prob": None}
    plain = describe(pyramid(), WHOLE, (224, 224), **common)
    assert plain.box == describe(pyramid(), WHOLE, (224, 224), **common, threshold=0.2).box
    assert make_map_options("gradcam").box_threshold == 0.2
    assert "box_threshold" not in make_map_options("gradcam", box_threshold=0.2).options()
    assert make_map_options("gradcam", box_threshold=0.3).options() == {"box_threshold": 0.3}


def test_otsu_is_that_of_the_maps_histogram():
    rng = np.random.default_rng(0)
    heat = np.full((224, 224), 0.15, np.float32)
    heat[60:160, 40:200] = 0.8
    heat += rng.random(heat.shape, np.float32) * 0.05
    assert boxes_of(heat, WHOLE, (224, 224), [OTSU]) == [(40, 60, 200, 160)]
    # A second implementation: the split with the greatest variance between its two parts.
    smooth = cv2.resize(rng.random((9, 9), np.float32), (224, 224))
    levels = (smooth / smooth.max() * 255).astype(np.uint8).ravel().astype(float)

    def between(level):
        low, high = levels[levels <= level], levels[levels > level]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(high) else 0

    best = max(range(int(levels.min()), 255), key=between)
    expected = boxes_of(smooth, WHOLE, (224, 224), [(best + 1) / 255])
    assert boxes_of(smooth, WHOLE, (224, 224), [OTSU]) == expected


def test_a_map_of_one_value_above_zero_has_a_box_by_otsu():
    spot = np.zeros((7, 7), np.float32)
    spot[3, 3] = 1
    [box] = boxes_of(spot, WHOLE, (224, 224), [OTSU])
    assert 80 <= box[0] < box[2] <= 144  # the cell, spread to the middles of those beside it
    assert boxes_of(np.zeros((7, 7), np.float32), WHOLE, (224, 224), [OTSU]) is None


@pytest.mark.parametrize(("share", "percentile"), [(0.2, 90), (0.35, 90), (0.2, 95), (0.5, 50)])
def test_a_share_of_a_percentile(share, percentile):
    """As Bae et al. 2020 have it: θ times a percentile of the map where others take the maximum."""
    steep = pyramid() ** 3
    level = share * np.sort(steep.ravel())[round(percentile / 100 * (steep.size - 1))]
    expected = boxes_of(steep, WHOLE, (224, 224), [float(level / steep.max())])
    asked = asked_threshold(f"{share}@{percentile}")
    assert boxes_of(steep, WHOLE, (224, 224), [asked]) == expected
    assert expected != boxes_of(steep, WHOLE, (224, 224), [share])


def test_one_hot_spot_moves_the_maximum_and_not_the_percentile():
    heat = np.full((224, 224), 0.0, np.float32)
    heat[40:200, 30:190] = 0.1
    spot = heat.copy()
    spot[100:104, 100:104] = 1
    body, hot = (30, 40, 190, 200), (100, 100, 104, 104)
    assert boxes_of(heat, WHOLE, (224, 224), [0.2, "0.2@90"]) == [body, body]
    assert boxes_of(spot, WHOLE, (224, 224), [0.2, "0.2@90"]) == [hot, body]


def test_a_percentile_of_nothing_leaves_all_that_is_warm():
    small = np.zeros((224, 224), np.float32)
    small[10:20, 10:20] = np.linspace(0.01, 1, 10, dtype=np.float32)
    assert boxes_of(small, WHOLE, (224, 224), ["0.2@90"]) == [(10, 10, 20, 20)]


@pytest.mark.parametrize(
    "asked",
    ["0", "1", "-0.2", "nan", 1.5, "otsuu", "no.toml", "0@90", "1@90", "0.2@0", "0.2@101", "@90",
     "0.2@", "0.2@90@90", "0.2@e", "-0.2@90"],
)  # fmt: skip
def test_what_is_no_threshold_is_refused(asked):
    with pytest.raises(UsageError, match=r"--box-threshold takes a share"):
        asked_threshold(asked)


@pytest.mark.parametrize("asked", ["20%", "0,2", "0.2@", "@90", "0.2@90@90", "nan@5"])
def test_a_number_that_is_none_is_no_missing_file(asked):
    with pytest.raises(UsageError, match=r"is none of these\.$"):
        asked_threshold(asked)


def test_a_networks_file_is_sent_to_model(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(bytes(2 << 20))
    with pytest.raises(UsageError, match="name it with --model"):
        asked_threshold(tmp_path / "net.safetensors")


def test_words_and_numbers():
    assert asked_threshold(None) is None
    assert asked_threshold("otsu") == asked_threshold(" Otsu") == "otsu"
    assert asked_threshold("0.35") == asked_threshold(0.35) == 0.35
    assert asked_threshold(" .20 @ 90.0") == asked_threshold("0.2@90") == "0.2@90"
    assert asked_threshold("0.2@100") == 0.2, "the percentile that is the maximum"


def calibration(how, classifier, share=0.31, **changed):
    maps = {**described(settled(how, classifier), classifier), **changed}
    return Calibration(share, maps, {"photographs": 5, "iou": 0.7})


def test_file_is_read_back_and_taken_for_its_own_maps(by_hand, tmp_path):
    how = make_map_options("cam")
    file = tmp_path / "boxes.toml"
    odd = Calibration(0.5, {"method": "layercam", 'a "b" é\n': "\x7f\\"}, {})
    found = [calibration(how, by_hand), odd]
    file.write_text(calibrations_toml(found), encoding="utf-8")
    assert list(read_calibrations(file)) == found
    # Grad-CAM of a linear head is CAM.
    what = make_explanation(by_hand, make_map_options("gradcam", box_threshold=file))
    assert what.how.box_threshold == 0.31
    assert "0.31" in what.told
    assert "5 photographs" in what.told


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"method": "layercam"}, "--method was cam and is layercam"),
        ({"smooth": "aug"}, "--smooth was the usual and is aug"),
    ],
)
def test_file_of_other_maps_is_refused_with_what_differs(by_hand, tmp_path, option, words):
    file = tmp_path / "boxes.toml"
    file.write_text(calibrations_toml([calibration(make_map_options("cam"), by_hand)]))
    method = option.pop("method", "cam")
    with pytest.raises(UsageError) as error:
        make_explanation(by_hand, make_map_options(method, box_threshold=file, **option))
    assert words in str(error.value)
    assert "--box-threshold 0.31" in str(error.value)


def test_other_input_size_is_refused(by_hand, tmp_path):
    file = tmp_path / "boxes.toml"
    file.write_text(calibrations_toml([calibration(make_map_options("cam"), by_hand, size=384)]))
    with pytest.raises(UsageError, match="--input-size was 384 and is"):
        make_explanation(by_hand, make_map_options("cam", box_threshold=file))


def test_calibrated_network_has_its_own_threshold(by_hand):
    found = calibration(make_map_options("cam"), by_hand, sha256="of the file before")
    classifier = replace(by_hand, boxes=(found,))
    assert make_explanation(classifier, "gradcam").how.box_threshold == 0.31
    assert "checkpoint" in make_explanation(classifier, "gradcam").told
    # Of other maps nothing was chosen, and what a user says goes before.
    assert make_explanation(classifier, "layercam").how.box_threshold == 0.2
    said = make_map_options("gradcam", box_threshold=0.2)
    assert make_explanation(classifier, said).how.box_threshold == 0.2
    assert chosen(make_map_options("cam"), by_hand)[1] == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "x = 1", "[[box_threshold]]\nthreshold = 0.2", "box_threshold = 1", "[[box_threshold",
        "[[box_threshold]]\nthreshold = 1.5\n[box_threshold.maps]\nmethod = 'cam'",
        "[[box_threshold]]\nthreshold = true\n[box_threshold.maps]\nmethod = 'cam'",
        "[[box_threshold]]\nthreshold = 0.2\nlist = [1]\n[box_threshold.maps]\nmethod = 'cam'",
        "[[box_threshold]]\nthreshold = nan\n[box_threshold.maps]\nmethod = 'cam'",
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "other.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"other\.toml.*calibrate"):
        read_calibrations(file)


def test_records_are_plain(by_hand):
    found = calibration(make_map_options("cam"), by_hand)
    assert read_records(json.loads(json.dumps([found.record()]))) == (found,)
    assert read_records(None) == ()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        asked_threshold(Path(tmp_path))
