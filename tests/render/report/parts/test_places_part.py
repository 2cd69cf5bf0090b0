import base64
import json

import numpy as np
import pytest

from camcli.render.places.layout import SIDE
from camcli.render.report.page.data import part_scripts
from camcli.render.report.parts import places
from camcli.render.report.parts.places import NO_PLACE, places_parts
from camcli.render.report.rows.image_rows import (
    ERROR,
    RIGHT,
    ImageRow,
    Names,
    RunData,
    Side,
    read_rows,
)


def rows(n, without=()):
    draw = np.random.default_rng(0)
    found = []
    for i in range(n):
        features = None if i in without else draw.standard_normal(16).astype(np.float16)
        side = Side(ERROR if i in without else RIGHT, features=features)
        found.append(ImageRow(f"{i}.jpg", 0, i, (10, 10), [side]))
    return found


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_places_and_features_are_told_in_the_order_of_the_page():
    told = json.loads(json.dumps(places_parts(rows(30, {4, 9}))))
    x, y = numbers(told["places"]["places"], "<u2").reshape(2, -1)
    assert np.flatnonzero(x == NO_PLACE).tolist() == [4, 9]
    assert np.flatnonzero(y == NO_PLACE).tolist() == [4, 9]
    assert max(x[x < NO_PLACE].max(), y[y < NO_PLACE].max()) == SIDE
    assert (told["places"]["drawn"], told["places"]["unknown"]) == (28, 2)
    ids = numbers(told["near"]["ids"], "<u4")
    assert ids.tolist() == [i for i in range(30) if i not in (4, 9)]
    own = numbers(told["near"]["numbers"], "i1").reshape(28, told["near"]["width"])
    # Distances are those of the features, but for one factor and the rounding.
    exact = np.stack(
        [r.sides[0].features for r in rows(30, {4, 9}) if r.sides[0].features is not None]
    )
    pairs = np.triu_indices(28, 1)
    far = np.linalg.norm(exact[pairs[0]].astype(float) - exact[pairs[1]], axis=1)
    found = np.linalg.norm(own[pairs[0]].astype(float) - own[pairs[1]], axis=1)
    assert np.corrcoef(far, found)[0, 1] > 0.999


def test_where_all_rows_have_features_their_numbers_are_not_told():
    assert places_parts(rows(5))["near"]["ids"] is None


@pytest.mark.parametrize("without", [{0, 1, 2}, {0, 1}])
def test_runs_without_features_have_no_map(without):
    assert places_parts(rows(3, without)) == {}


def test_a_row_has_the_features_of_its_record(tmp_path):
    features = np.ones(4, np.float16)
    one = {"target": "cat", "prob": 0.5, "values": np.ones((2, 2)), "empty": False}
    table = [
        {"path": path, "status": "ok", "pred": "cat", "prob": "0.5"} for path in ("a", "b", "c")
    ]
    records = [
        {"path": "a", "view": [], "maps": [one], "truth": None, "features": features},
        {"path": "b", "view": [], "maps": [one], "truth": None},  # as others hand them over
    ]
    a, b, c = read_rows(RunData("run", tmp_path, {}, table, records), Names())
    assert a.sides[0].features is features
    assert b.sides[0].features is None
    assert c.sides[0].features is None


def test_the_places_of_an_earlier_page_stay_if_the_photographs_are_the_same(tmp_path, monkeypatch):
    before = tmp_path / "places.js"
    made = places_parts(rows(30, {4}), before=before)
    (_, text), _ = part_scripts(made)
    before.write_text(text, "ascii")
    laid_out = []

    def lay_out(features, **options):
        laid_out.append(1)
        return real(features, **options)

    real = places.lay_out
    monkeypatch.setattr(places, "lay_out", lay_out)
    assert places_parts(rows(30, {4}), before=before) == made
    assert not laid_out
    places_parts(rows(30, {5}), before=before)
    places_parts(rows(30, {4})[::-1], before=before)
    assert len(laid_out) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:200],
        lambda text: "",
        lambda text: text.replace('"t-SNE"', '"magic"'),
        lambda text: text.replace('"drawn":30', '"drawn":"many"'),
        lambda text: text.replace('"drawn":30', '"drawn":[]'),
        lambda text: text.replace('"places":"', '"places":"AAAA'),
        lambda text: text.replace("camcli", "alert"),
        lambda text: 'camcli.part("places",[]);\n',
    ],
)
def test_what_is_no_part_of_a_page_is_not_taken_for_one(tmp_path, change):
    before = tmp_path / "places.js"
    made = places_parts(rows(30))
    (_, text), _ = part_scripts(made)
    assert change(text) != text
    before.write_text(change(text), "ascii")
    assert places_parts(rows(30), before=before) == made
