"""From a table to the rows, the order and the numbers of a page; no browser."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from camcli.errors import CamcliError, UsageError
from camcli.render.report import RunData, write_comparison, write_report
from camcli.render.report.compare import sign_test
from camcli.render.report.page.data import as_script
from camcli.render.report.page.folder import replacing
from camcli.render.report.rows.heat import MeanMap, PageMap, affordable_side, similarity
from camcli.render.report.rows.image_rows import Names, in_order, read_rows
from camcli.render.report.rows.summary import for_page, summarise


def values(path, label, pred, prob, correct, **more):
    row = {"path": path, "label": label, "pred": pred, "prob": str(prob), "correct": correct,
           "top2": "other", "top2_prob": "0.01", "heat_border": "0.2", "heat_area": "0.3",
           "box_x0": "1", "box_y0": "2", "box_x1": "3", "box_y1": "4", "overlay": "",
           "width": "100", "height": "50", "status": "ok", "error": ""}  # fmt: skip
    return row | more


def run_of(rows, maps=(), tmp="run", **config):
    return RunData("run", Path(tmp), {"state": "finished", "config": config}, rows, maps)


def heat(target, cells, prob=0.5, empty=False):
    return {"target": target, "prob": prob, "empty": empty, "values": np.array(cells, np.float32)}


WHOLE = np.array([0.0, 0.0, 1.0, 1.0])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.text(), inner)), max_leaves=8))  # fmt: skip
def test_scripts_hold_any_text_and_none_of_it_is_markup(value):
    text = as_script(value)
    assert text.isascii()
    assert not re.search(r"[<>&]", text)
    assert json.loads(text) == value


def test_scripts_cannot_be_closed_early():
    assert "</script" not in as_script({"a": "</script><script>alert(1)</script>\u2028"})


def test_not_a_number_is_refused_rather_than_written():
    with pytest.raises(ValueError, match="JSON"):
        as_script(float("nan"))


def test_the_most_suspicious_rows_come_first():
    rows = [
        values("sure", "a", "a", 0.9, "1"),
        values("wrong-little", "a", "b", 0.3, "0"),
        values("unlabelled", "", "b", 0.8, ""),
        values("broken", "a", "", "", "", status="error", error="empty file"),
        values("wrong-much", "a", "b", 0.9, "0"),
        values("unsure", "a", "a", 0.2, "1"),
    ]
    ordered = [row.path for row in in_order(read_rows(run_of(rows), Names()))]
    assert ordered == ["wrong-much", "wrong-little", "unlabelled", "unsure", "sure", "broken"]


def test_labels_get_the_network_s_names():
    rows = [
        values("1", "n02099601", "golden retriever", 0.9, "1"),
        values("2", "n01440764", "golden retriever", 0.9, "0"),  # in no right row: looked up
        values("3", "Tabby_Cat", "dog", 0.9, "0"),  # told by its map
        values("4", "GOLDEN-retriever", "dog", 0.9, "0"),  # told by its spelling
        values("5", "unheard of", "dog", 0.9, ""),
    ]
    maps = [{"path": "3", "view": [0, 0, 100, 50], "maps": [heat("dog", [[1, 0]])],
             "truth": heat("tabby", [[0, 1]])}]  # fmt: skip
    names = Names()
    read = read_rows(run_of(rows, maps), names)
    assert [names.list[row.label] for row in read] == [
        "golden retriever", "tench", "tabby", "golden retriever", "unheard of",
    ]  # fmt: skip
    assert names.list[read[2].sides[0].truth.target] == "tabby"


def test_counts_are_those_of_a_hand_made_table():
    rows = [
        values("1", "a", "a", 0.95, "1"),
        values("2", "a", "b", 0.95, "0"),
        values("3", "a", "b", 0.05, "0"),
        values("4", "b", "b", 1.0, "1"),
        values("5", "", "b", 0.5, ""),
        values("6", "b", "", "", "", status="error", error="no"),
        values("7", "b", "b", 0.0, "1", status="empty"),
    ]
    names = Names()
    page = for_page(summarise(read_rows(run_of(rows), names)))
    a, b = names.number("a"), names.number("b")
    assert page["counts"] == {"r": 3, "w": 2, "u": 1, "e": 1, "empty": 1}
    assert page["accuracy"] == pytest.approx(3 / 5)
    assert page["pairs"] == [[a, b, 2]]
    assert page["bins"]["r"][19] == 2  # 0.95 and 1.0
    assert page["bins"]["r"][0] == 1
    assert page["bins"]["w"][19] == 1
    assert page["bins"]["w"][1] == 1
    by_class = {row[0]: row[1:6] for row in page["classes"]}
    assert by_class[a] == [3, 1, 1, 1, 0.95]
    assert by_class[b] == [2, 2, 5, 4, pytest.approx(0.5)]
    matrix = page["matrix"]
    place = {c: n for n, c in enumerate(matrix["classes"])}
    assert matrix["cells"][place[a]][place[b]] == 2
    assert matrix["cells"][place[b]][place[b]] == 2


def test_an_unreadable_number_is_no_reason_to_fail():
    rows = [values("1", "a", "a", "nan", "1", heat_border="inf", width="", box_x0="x")]
    (row,) = read_rows(run_of(rows), Names())
    assert row.sides[0].prob == 0
    assert row.sides[0].border is None
    assert row.size is None
    assert row.sides[0].box is None


def test_maps_are_sent_in_256_levels_of_what_is_positive():
    page_map = PageMap.of(heat("a", [[-3, 0], [1, 2]]), Names().number)
    h, w, cells = page_map.text(32).split(",")
    assert (h, w) == ("2", "2")
    assert list(base64.b64decode(cells)) == [0, 0, 128, 255]
    assert PageMap.of(heat("a", [[-3, -1]]), Names().number).text(32) == ""
    assert PageMap.of(heat("a", [[1, 1]], empty=True), Names().number).text(32) == ""


@given(st.integers(1, 2_000_000))
def test_maps_stay_within_the_budget(count):
    side = affordable_side(count)
    assert 4 <= side <= 32
    text = PageMap(0, 0.0, np.zeros((side, side), np.uint8)).text(side)
    assert len(text) * count <= 22_000_000 or side == 4


def test_large_maps_are_averaged_down():
    cells = np.kron(np.array([[0, 200], [100, 40]], np.uint8), np.ones((8, 8), np.uint8))
    h, w, text = PageMap(0, 0.0, cells).text(4).split(",")
    assert (h, w) == ("4", "4")
    small = np.frombuffer(base64.b64decode(text), np.uint8).reshape(4, 4)
    assert small[0, 0] == 0
    assert small[0, 3] == 200
    assert small[3, 0] == 100


def test_similarity_by_hand():
    a = np.array([[255, 0], [0, 0]], np.uint8)
    b = np.array([[255, 255], [0, 0]], np.uint8)
    assert similarity(a, a, WHOLE, WHOLE) == pytest.approx(1)
    assert similarity(a, a.T[::-1], WHOLE, WHOLE) == 0
    assert similarity(a, b, WHOLE, WHOLE) == pytest.approx(1 / 2**0.5)


def test_similarity_sees_that_equal_maps_of_different_crops_are_in_different_places():
    cells = np.full((4, 4), 255, np.uint8)
    left, right = np.array([0, 0, 0.5, 1.0]), np.array([0.5, 0, 1.0, 1.0])
    assert similarity(cells, cells, left, right) == 0
    assert similarity(cells, cells, left, WHOLE) == pytest.approx(0.5**0.5)
    fine = np.full((8, 8), 255, np.uint8)
    assert similarity(cells, fine, WHOLE, WHOLE) == pytest.approx(1)


def test_mean_maps():
    mean = MeanMap(2)
    assert mean.text() == ""
    mean.add(np.array([[255, 0], [0, 0]], np.uint8))
    mean.add(np.array([[255, 255], [0, 0]], np.uint8))
    assert list(base64.b64decode(mean.text().split(",")[2])) == [255, 128, 0, 0]


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_scipy_s(fixed, broken):
    if fixed + broken == 0:
        assert sign_test(fixed, broken) is None
    else:
        assert sign_test(fixed, broken) == pytest.approx(
            binomtest(fixed, fixed + broken, 0.5).pvalue
        )


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    (out / "index.html").write_text("<h1>my thesis</h1>")
    with pytest.raises(UsageError, match="not a page of camcli"):
        write_report(run_of([values("1", "a", "a", 1, "1")], tmp=tmp_path), out)
    assert (out / "index.html").read_text() == "<h1>my thesis</h1>"
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_failed_build_leaves_the_old_page(tmp_path):
    run = run_of([values("1", "a", "a", 1, "1")], tmp=tmp_path)
    page = write_report(run, tmp_path / "report")
    before = page.read_bytes()

    def half_a_page():
        with replacing(tmp_path / "report") as part:
            (part / "index.html").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_a_page()
    assert page.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_page_is_replaced_whole(tmp_path):
    write_report(run_of([values("1", "a", "a", 1, "1")], tmp=tmp_path), tmp_path / "report")
    (tmp_path / "report" / "data" / "left-over.js").write_text("")
    with (tmp_path / "report" / "data" / "files.txt").open("a") as manifest:
        manifest.write("data/left-over.js\n")
    write_report(run_of([values("1", "a", "a", 1, "1")], tmp=tmp_path), tmp_path / "report")
    assert not (tmp_path / "report" / "data" / "left-over.js").exists()


@pytest.mark.parametrize("folder", ["thumbs", "assets/marks"])
def test_a_folder_of_a_page_that_leads_elsewhere_is_left_alone(tmp_path, folder):
    run, out = run_of([values("1", "a", "a", 1, "1")], tmp=tmp_path), tmp_path / "report"
    write_report(run, out)
    mine, place = tmp_path / "mine", out / folder
    if place.exists():
        shutil.rmtree(place)
    mine.mkdir()
    place.symlink_to(mine)
    (mine / "kept").write_text("mine")

    def another_page():
        with replacing(out) as part:
            (part / folder / "0").mkdir(parents=True)
            (part / folder / "0" / "0.jpg").write_text("theirs")

    with pytest.raises(UsageError, match="no file of that page"):
        another_page()
    assert [p.name for p in mine.iterdir()] == ["kept"]


def test_markup_in_names_never_reaches_the_document(tmp_path):
    evil = "<img src=x onerror=alert(1)>\u2028</script>"
    rows = [
        values(evil, evil, evil, 0.5, "1"),
        values("b", evil, "", "", "", status="error", error=evil),
    ]
    page = write_report(run_of(rows, tmp=tmp_path, method=evil), tmp_path / "report")
    for file in [page, *(page.parent / "data").iterdir()]:
        assert "<img" not in file.read_text("utf-8"), file
    one = write_report(
        run_of(rows, tmp=tmp_path, method=evil), tmp_path / "one", self_contained=True
    )
    text = one.read_text("utf-8")
    assert "<img src" not in text
    assert text.count("<script") == text.count("</script>")


def test_one_file_for_too_many_rows_is_refused(tmp_path):
    rows = [values(str(n), "a", "a", 0.5, "1") for n in range(2001)]
    with pytest.raises(UsageError, match="2000"):
        write_report(run_of(rows, tmp=tmp_path), tmp_path / "report", self_contained=True)
    assert not (tmp_path / "report").exists()


def test_one_file_that_would_be_too_large_is_refused(tmp_path, monkeypatch):
    run = run_of([values("a", "a", "a", 0.5, "1")], tmp=tmp_path)
    monkeypatch.setattr("camcli.render.report.page.pages.SELF_CONTAINED_BYTES", 100)
    with pytest.raises(UsageError, match="Leave --self-contained out"):
        write_report(run, tmp_path / "report", self_contained=True)
    assert not (tmp_path / "report").exists()


def test_nothing_to_show_and_nothing_in_common(tmp_path):
    with pytest.raises(UsageError, match="no rows"):
        write_report(run_of([], tmp=tmp_path), tmp_path / "report")
    one = run_of([values("a", "", "x", 1, "")], tmp=tmp_path)
    two = run_of([values("b", "", "x", 1, "")], tmp=tmp_path)
    with pytest.raises(CamcliError, match="no image in common"):
        write_comparison(one, two, tmp_path / "page")


def test_a_bare_run_json_is_enough(tmp_path):
    run = RunData("r", tmp_path, {}, [values("a", "", "x", 0.5, "")])
    assert write_report(run, tmp_path / "report").is_file()
    odd = {"config": {"style": "?", "preprocess": 3, "topk": "x", "source": None}, "command": 1,
           "provenance": [], "state": 5}  # fmt: skip
    run = RunData("r", tmp_path, odd, [values("a", "", "x", 0.5, "")])
    assert write_report(run, tmp_path / "report").is_file()


def levels(text):
    h, w, cells = text.split(",")
    return np.frombuffer(base64.b64decode(cells), np.uint8).reshape(int(h), int(w))


def test_a_signed_runs_maps_keep_what_speaks_against():
    record = heat("cat", [[2, 0], [0, -4]])
    signed = PageMap.of(record, Names().number, signed=True)
    assert levels(signed.text(9, signed=True)).tolist() == [[192, 128], [128, 0]]
    assert levels(PageMap.of(record, Names().number).text(9)).tolist() == [[255, 0], [0, 0]]
    only = PageMap.of(heat("cat", [[-1.0, -2]], empty=True), Names().number, signed=True)
    assert levels(only.text(9, signed=True)).tolist() == [[64, 0]]
    assert only.drawn
    assert only.cells is None, "no positive evidence: not part of a mean"
    assert PageMap.of(heat("cat", [[0, 0]], empty=True), Names().number, True).text(9, True) == ""


def test_the_page_of_a_signed_run_says_so(tmp_path):
    rows = [values("a.jpg", "cat", "cat", 0.9, "1")]
    maps = [{"path": "a.jpg", "view": [], "maps": [heat("cat", [[2, -4]])], "truth": None}]
    for signed in (True, False):
        run = run_of(rows, maps, style={"signed": signed})
        write_report(run, tmp_path / str(signed))
        settings = (page_folder := tmp_path / str(signed) / "data") / "settings.js"
        assert f'"signed":{str(signed).lower()}' in settings.read_text()
        text = (page_folder / "detail-0.js").read_text()
        wanted = PageMap.of(maps[0]["maps"][0], Names().number, signed).text(9, signed)
        assert wanted in text
