"""What users say of preprocessing: words, presets and other libraries' files."""

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import PRESETS, applied, check_words, described, of_values
from camcli.errors import UsageError

OWN = Preprocess(size=96, crop_pct=0.9, interpolation="bicubic")
RGB = np.broadcast_to(np.array([200, 100, 10], np.uint8), (50, 60, 3)).copy()


def pixel(preprocess: Preprocess) -> list[float]:
    """What the network gets of one colour."""
    values = preprocess.tensor(RGB)[0]
    assert values.amax((1, 2)).tolist() == pytest.approx(values.amin((1, 2)).tolist(), abs=1e-4)
    return values[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("imagenet", [(200 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224,
                      (10 / 255 - 0.406) / 0.225]),
        ("inception", [200 / 127.5 - 1, 100 / 127.5 - 1, 10 / 127.5 - 1]),
        ("tf", [200 / 127.5 - 1, 100 / 127.5 - 1, 10 / 127.5 - 1]),
        ("clip", [(200 / 255 - 0.48145466) / 0.26862954, (100 / 255 - 0.4578275) / 0.26130258,
                  (10 / 255 - 0.40821073) / 0.27577711]),
        ("caffe", [10 - 103.939, 100 - 116.779, 200 - 123.68]),
        ("none", [200 / 255, 100 / 255, 10 / 255]),
        ("scale=255", [200, 100, 10]),
        ("none bgr scale=255", [10, 100, 200]),
        ("mean=0.5 std=0.25", [(x / 255 - 0.5) / 0.25 for x in (200, 100, 10)]),
        ("mean=[0.1, 0.2, 0.3] std=(1, 2, 4)", [200 / 255 - 0.1, (100 / 255 - 0.2) / 2,
                                                 (10 / 255 - 0.3) / 4]),
        ("mean = 0.1 0.2 0.3 std = 1 2 4 bgr", [10 / 255 - 0.1, (100 / 255 - 0.2) / 2,
                                                (200 / 255 - 0.3) / 4]),
        ("scale=255 mean=127.5 std=127.5", [200 / 127.5 - 1, 100 / 127.5 - 1, 10 / 127.5 - 1]),
        ("mean=0.1307 std=0.3081 channels=1",
         [((0.299 * 200 + 0.587 * 100 + 0.114 * 10) / 255 - 0.1307) / 0.3081]),
        ("tf channels=4", [200 / 127.5 - 1, 100 / 127.5 - 1, 10 / 127.5 - 1, 1]),
        ("channels=4 mean=0,0,0,0.5 std=1,1,1,0.25", [200 / 255, 100 / 255, 10 / 255, 2]),
        ("caffe rgb", [200 - 103.939, 100 - 116.779, 10 - 123.68]),
    ],
)  # fmt: skip
def test_what_a_pixel_becomes(text, wanted):
    """By hand, for red 200, green 100, blue 10."""
    made = applied(text, OWN)
    assert pixel(made) == pytest.approx(wanted, abs=2e-4)
    assert made.shape == (len(wanted), 96, 96)


def test_presets_are_what_their_libraries_say():
    """timm's constants, and Keras' caffe mode is the VGG authors' mean pixel, blue first."""
    from timm.data import constants

    for name, mean, std in (
        ("imagenet", constants.IMAGENET_DEFAULT_MEAN, constants.IMAGENET_DEFAULT_STD),
        ("inception", constants.IMAGENET_INCEPTION_MEAN, constants.IMAGENET_INCEPTION_STD),
        ("clip", constants.OPENAI_CLIP_MEAN, constants.OPENAI_CLIP_STD),
    ):
        assert PRESETS[name]["mean"] == mean
        assert PRESETS[name]["std"] == std


def test_what_is_not_said_stays_the_networks_own():
    assert applied("caffe", OWN) == OWN.with_(
        mean=applied("caffe", Preprocess()).mean, std=(1 / 255,) * 3, bgr=True
    )
    assert applied("size=32", OWN) == OWN.with_(size=32)
    wide = OWN.with_(width=192)
    assert applied("size=64", wide).shape == (3, 64, 64)
    assert applied("size=48x96", OWN).shape == (3, 48, 96)
    assert applied("tf", wide).shape == (3, 96, 192)
    grey = Preprocess(grey=True)
    assert applied("mean=0.5 std=0.5", grey).grey
    assert applied("resize=128 size=112", OWN).resize == 128
    assert applied("resize=256x300", OWN).resize == (256, 300)
    assert applied("crop_pct=0.5", OWN.with_(resize=128)).resize is None


def test_later_words_go_over_earlier_ones():
    assert applied("caffe size=32 imagenet size=64", OWN) == applied("imagenet size=64", OWN)
    assert applied("pad=0 squash", OWN).fit == "squash"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("imagenett", "Did you mean imagenet"),
        ("sise=32", "Did you mean size"),
        ("interpolation=linar", "nearest, bilinear, bicubic, lanczos, box"),
        ("mean=0.5", "no std"),
        ("std=0.5", "no mean"),
        ("mean=103.9,116.8,123.7 std=1", "add scale=255"),
        ("scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225", "leave scale out"),
        ("scale=2", "1, as by default, or 255"),
        ("scale=255 clip", "preset"),
        ("channels=2", "luminance"),
        ("channels=13", "first layer"),
        ("mean=1,2 std=1", "one a channel"),
        ("mean=0,0,0,0 std=1,1,1,1", "channels=4"),
        ("mean=0 std=0", "above 0"),
        ("size=0", "from 1 to"),
        ("size=12x13x14", "height and width"),
        ("size=99999", "from 1 to"),
        ("size=", "no value"),
        ("size", "needs a value"),
        ("resize=32", "at least size"),
        ("pad=300", "0 to 255"),
        ("fit=stretch", "crop, squash, whole, pad"),
        ("antialias=perhaps", "yes or no"),
        ("crop_pct=99", "share"),
        ("grey bgr", "one channel"),
        ("  ", "empty"),
        ("nothere.json", "no file"),
        ("some/where", "no file"),
    ],
)
def test_mistakes_are_told_with_what_to_do(text, told):
    with pytest.raises(UsageError, match="--preprocess") as refused:
        applied(text, OWN)
    assert told in str(refused.value)


def test_what_is_said_twice_must_be_the_same():
    """By an option of its own, and in words."""
    check_words("size=32 squash", fit="squash", input_size=32)
    check_words("caffe", fit="pad", input_size=32)
    for text, more, told in (
        ("size=32", {"input_size": 64}, "--input-size 64"),
        ("size=64x128", {"input_size": 64}, "--input-size 64"),
        ("squash", {"fit": "crop"}, "--fit crop"),
        ("pad=3", {"fit": "whole"}, "--fit whole"),
    ):
        with pytest.raises(UsageError, match=told):
            check_words(text, **more)


WORDS = st.sampled_from([*PRESETS, "bgr", "grey", "pad", "crop", "mean", "std", "size", "scale",
                         "resize", "channels", "fit", "interpolation", "antialias"])  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=8), st.sampled_from(["1", "255", "0.5,0.5,0.5", "32x64", "nan", "-1", "1e999"])
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(
    st.text(max_size=60),
    st.lists(st.tuples(WORDS, st.sampled_from(["=", "", " = ", ","]), VALUES), max_size=6).map(
        lambda parts: " ".join("".join(part) for part in parts)
    ),
))  # fmt: skip
def test_no_text_gives_a_traceback(text):
    """A preprocessing that can be described, recorded and read again; or a sentence."""
    try:
        made = applied(text, OWN)
    except UsageError:
        return
    assert described(made)
    assert Preprocess.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(
    st.sampled_from(["size", "crop_size", "image_mean", "image_std", "resample", "do_resize",
                     "input_size", "mean", "std", "crop_mode", "crop_pct", "pretrained_cfg",
                     "preprocess", "preprocess_cfg", "config", "fit", "do_normalize", "preset"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 10**9) | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["height", "width", "shortest_edge", "preprocess"]),
                          inner, max_size=2),
        max_leaves=6,
    ), max_size=8,
))  # fmt: skip
def test_no_file_gives_a_traceback(tmp_path_factory, values):
    file = tmp_path_factory.mktemp("files") / "p.json"
    file.write_text(json.dumps(values), "utf-8")
    with suppress(UsageError):
        applied(file, OWN).check()


def written(tmp_path, values, name="preprocessor_config.json"):
    file = tmp_path / name
    file.write_text(values if isinstance(values, str) else json.dumps(values), "utf-8")
    return file


VIT = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 2,
    "rescale_factor": 1 / 255, "size": {"height": 224, "width": 224},
}  # fmt: skip
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (VIT, Preprocess(size=224, fit="squash", mean=(0.5,) * 3, std=(0.5,) * 3)),
        ({**VIT, "size": 224}, Preprocess(size=224, fit="squash", mean=(0.5,) * 3, std=(0.5,) * 3)),
        ({**VIT, **IMAGENET, "image_processor_type": "ConvNextImageProcessor", "resample": 3,
          "size": {"shortest_edge": 224}, "crop_pct": 0.875},
         Preprocess(resize=256, interpolation="bicubic")),
        ({**VIT, **IMAGENET, "image_processor_type": "ConvNextImageProcessor", "resample": 3,
          "size": {"shortest_edge": 384}},
         Preprocess(size=384, fit="squash", interpolation="bicubic")),
        ({**VIT, **IMAGENET, "image_processor_type": "CLIPImageProcessor", "do_center_crop": True,
          "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 256}},
         Preprocess(resize=256)),
        ({**VIT, **IMAGENET, "feature_extractor_type": "DeiTFeatureExtractor", "size": 256,
          "image_processor_type": "DeiTFeatureExtractor", "do_center_crop": True,
          "crop_size": 224, "resample": 3},
         Preprocess(resize=(256, 256), interpolation="bicubic")),
        ({"do_normalize": False, "do_flip_channel_order": True, "do_center_crop": True,
          "crop_size": {"height": 256, "width": 256}, "size": {"shortest_edge": 288},
          "image_processor_type": "MobileViTImageProcessor", "resample": 2},
         Preprocess(size=256, resize=288, mean=(0.0,) * 3, std=(1.0,) * 3, bgr=True)),
    ],
)  # fmt: skip
def test_hugging_faces_files(tmp_path, values, wanted):
    made = applied(written(tmp_path, values), OWN)
    # Where the centre falls between two pixels, transformers takes the upper left one.
    wanted = wanted.with_(crop_pct=1.0, round_down=wanted.fit == "crop")
    assert made.with_(crop_pct=1.0) == wanted


def test_a_rescaling_of_ones_own_is_kept(tmp_path):
    """pixel * factor - 1, then (x - mean) / std; by hand."""
    values = {**VIT, "image_processor_type": "EfficientNetImageProcessor", "include_top": False,
              "rescale_factor": 1 / 127.5, "rescale_offset": True,
              "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}  # fmt: skip
    wanted = [(200 / 127.5 - 1.1) / 0.5, (100 / 127.5 - 1.2) / 0.6, (10 / 127.5 - 1.3) / 0.7]
    assert pixel(applied(written(tmp_path, values), OWN)) == pytest.approx(wanted, abs=1e-4)


def test_what_a_file_lacks_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"preprocessor_config\.json.*image_mean"):
        applied(written(tmp_path, {"do_normalize": True, "size": 224}), OWN)
    with pytest.raises(UsageError, match="neither JSON nor TOML"):
        applied(written(tmp_path, "{ what", "a.json"), OWN)
    with pytest.raises(UsageError, match="filter 5"):
        applied(written(tmp_path, {**VIT, "resample": 5}), OWN)


def test_timms_files(tmp_path):
    """A model's own configuration, written down as timm pushes it to a hub."""
    cfg = {"input_size": [3, 224, 448], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 0.9,
           "interpolation": "bicubic", "crop_mode": "center"}  # fmt: skip
    wanted = Preprocess(size=224, width=448, crop_pct=0.9, interpolation="bicubic",
                        mean=(0.5,) * 3, std=(0.25,) * 3)  # fmt: skip
    file = written(tmp_path, {"architecture": "resnet18", "pretrained_cfg": cfg}, "config.json")
    assert applied(file, OWN) == applied(tmp_path, OWN) == wanted
    squash = {**cfg, "input_size": [1, 90, 90], "mean": [0.5], "std": [0.25], "crop_mode": "squash"}
    made = applied(written(tmp_path, squash, "s.json"), OWN)
    assert (made.resize, made.fit, made.grey) == ((100, 100), "crop", True)
    with pytest.raises(UsageError, match="7 channels"):
        applied(written(tmp_path, {**cfg, "input_size": [7, 8, 8]}, "7.json"), OWN)


def test_open_clips_file(tmp_path):
    values = {"model_cfg": {"vision_cfg": {"image_size": 256}},
              "preprocess_cfg": {"mean": [0.5], "std": [0.5], "resize_mode": "squash"}}  # fmt: skip
    made = applied(written(tmp_path, values, "open_clip_config.json"), OWN)
    assert made == Preprocess(size=256, fit="squash", crop_pct=1.0, interpolation="bicubic",
                              mean=(0.5,) * 3, std=(0.5,) * 3)  # fmt: skip


def test_camclis_own_files(tmp_path):
    asked = "caffe size=64x96 resize=128 pad=0"
    wanted = applied(asked, OWN)
    toml = 'preset = "caffe"\nsize = [64, 96]\nresize = 128\npad = 0\n'
    assert applied(written(tmp_path, toml, "p.toml"), OWN) == wanted
    assert applied(written(tmp_path, "[preprocess]\n" + toml, "q.toml"), OWN) == wanted
    switches = written(
        tmp_path, "bgr = true\nantialias = false\nmean = [0.5, 0.4, 0.3]\nstd = 1", "r.toml"
    )
    assert applied(switches, OWN) == applied("bgr antialias=no mean=0.5,0.4,0.3 std=1", OWN)
    for values in (wanted.to_dict(), {"config": {"preprocess": wanted.to_dict()}}):
        assert applied(written(tmp_path, values, "run.json"), OWN) == wanted
    with pytest.raises(UsageError, match=r"bad\.toml.*sise"):
        applied(written(tmp_path, "sise = 3", "bad.toml"), OWN)


@pytest.mark.parametrize("row", [list, tuple])
def test_some_values_of_python_are_settings(tmp_path, row):
    asked = {"size": 64, "mean": row([0.5, 0.4, 0.3]), "std": row([0.1, 0.2, 0.3]), "fit": "squash"}
    made = of_values(asked, OWN)
    assert (made.size, made.mean, made.std) == (64, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert made.fit == "squash"
    assert made == applied(written(tmp_path, asked, "p.json"), OWN)
    pair = of_values({"size": row([64, 96]), "pad": row([1, 2, 3])}, OWN)
    assert pair == of_values({"size": "64x96", "pad": "1,2,3"}, OWN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("imagenet size=224 crop_pct=0.875 interpolation=bilinear",
         "224x224, the centre of 256, bilinear, ImageNet mean and std"),
        ("none size=32 squash",
         "32x32, the whole photograph squashed, bicubic, values from 0 to 1"),
        ("caffe pad=0 size=128x256 antialias=no", "128x256, the whole photograph between margins, "
         "bicubic without antialias, BGR, Caffe mean and std"),
        ("grey mean=0.25 std=0.5 resize=99x98",
         "96x96, the centre of 99x98, bicubic, luminance, mean 0.25 and std 0.5"),
    ],
)  # fmt: skip
def test_it_is_told_in_words(text, words):
    assert described(applied(text, OWN)) == words


def test_a_network_made_from_words_gives_the_same_twice():
    """What is recorded gives the same pixels again, to the bit."""
    for text in ("caffe squash size=33", "pad=12,200,3 size=40x20", "channels=4 none"):
        made = applied(text, OWN)
        again = Preprocess.from_dict(json.loads(json.dumps(made.to_dict())))
        assert torch.equal(made.tensor(RGB), again.tensor(RGB))
    assert replace(OWN, resize=None) == OWN


def test_a_photograph_is_squeezed_into_a_rectangle_as_torchvision_resizes_it() -> None:
    """`Resize((128, 256))` is how pictures come into networks whose input is no square."""
    from torchvision.transforms import v2

    rgb = np.random.default_rng(0).integers(0, 256, (200, 170, 3), np.uint8)
    usual = Preprocess()
    theirs = v2.Compose([
        v2.Resize((128, 256)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(usual.mean, usual.std),
    ])  # fmt: skip
    wanted = theirs(Image.fromarray(rgb))
    made = applied("size=128x256", usual)
    torch.testing.assert_close(made.tensor(rgb)[0], wanted, atol=0.02, rtol=0)
    assert made.view(170, 200) == (0, 0, 170, 200)
    for said, fit in (
        ("crop", "crop"),
        ("resize=160x300", "crop"),
        ("pad", "pad"),
        ("whole", "whole"),
    ):
        assert applied(f"size=128x256 {said}", usual).fit == fit
    # What is known of the network stays: it cuts, or has a rectangle of its own.
    assert applied("size=64x128", Preprocess(size=128, width=256)).fit == "crop"
    assert applied("size=64", usual).fit == "crop"
    check_words("size=128x256", fit="crop")
    with pytest.raises(UsageError, match="contradict"):
        check_words("size=128x256 squash", fit="crop")
