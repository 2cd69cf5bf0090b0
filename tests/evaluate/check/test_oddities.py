import numpy as np
import pytest
from PIL import Image

from camcli.evaluate.check.looking import look
from camcli.evaluate.check.oddities import odd_pictures, outliers, small_classes
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


@pytest.fixture
def odd(photo, picture, tmp_path):
    """What is said of some pictures among ordinary ones."""

    def judge(pictures, clock=None):
        usual = {f"usual{n}": picture(n) for n in range(30)}
        photos = []
        for name, rgb in {**usual, **pictures}.items():
            Image.fromarray(np.ascontiguousarray(rgb)).save(tmp_path / f"{name}.png")
            photos.append(photo(f"{name}.png", root=tmp_path))
        issues = odd_pictures(look(photos, Clock(), Listener()), clock or Clock())
        return sorted((i.kind, i.rel.removesuffix(".png")) for i in issues)

    return judge


def test_each_kind_is_found_and_nothing_else(odd, picture):
    import cv2

    one = picture(50)
    assert odd({
        "night": (one * 0.06).astype(np.uint8),
        "snow": 255 - ((255 - one) * 0.06).astype(np.uint8),
        "soft": cv2.GaussianBlur(one, (0, 0), 6),
        "thumb": cv2.resize(one, (28, 20), interpolation=cv2.INTER_AREA),
        "white": np.full((100, 130, 3), 255, np.uint8),
        "black": np.zeros((100, 130, 3), np.uint8),
        "strip": picture(51)[:40],
    }) == [
        ("blank", "black"), ("blank", "white"), ("blurred", "soft"), ("bright", "snow"),
        ("dark", "night"), ("odd aspect", "strip"), ("tiny", "thumb"),
    ]  # fmt: skip


def test_what_all_are_like_is_no_fault_of_one(odd, picture):
    clock = Clock()
    night = {f"night{n}": (picture(50 + n) * 0.06).astype(np.uint8) for n in range(8)}
    assert odd(night, clock) == []
    assert "8 of 38" in clock.skipped[0]
    assert "dark" in clock.skipped[0]


def test_what_is_unlike_all_others_is_an_outlier(photo):
    rng = np.random.default_rng(0)
    usual = 10 + rng.normal(size=(80, 20))
    strange = np.zeros((2, 20))
    strange[0, 3], strange[1, 7] = 40, 40
    features = np.concatenate([usual, strange]).astype(np.float16)
    photos = [photo(str(n)) for n in range(82)]
    found = outliers(photos, features, np.arange(82), Clock())
    assert {i.rel for i in found[:2]} == {"80", "81"}
    assert len(found) <= 8  # random features are farther apart than those of photographs


def test_of_few_photographs_none_is_an_outlier_and_that_is_said(photo):
    clock = Clock()
    photos = [photo(str(n)) for n in range(9)]
    assert outliers(photos, np.ones((9, 3), np.float16), np.arange(9), clock) == []
    assert "it takes 50" in clock.skipped[0]


def test_small_classes_and_classes_missing_in_a_split(photo):
    photos = [photo(f"a{n}", "ample", "train") for n in range(40)]
    photos += [photo(f"v{n}", "ample", "val") for n in range(3)]
    photos += [photo(f"m{n}", "missing", "train") for n in range(40)]
    photos += [photo(f"f{n}", "few", "train") for n in range(3)]
    found = {i.label: i.note for i in small_classes(photos, ["ample", "few", "missing"])}
    assert found == {"few": "3 photographs to train on", "missing": "none in val"}
