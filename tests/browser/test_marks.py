"""Marking on the page, in a real browser: what is exported is what ``camcli apply`` reads."""

import csv
import io
import json
import os
import random
import time

import pytest

import camcli
from camcli.data.datasets.load import load_dataset
from camcli.data.marked.marks_file import read_marks
from camcli.data.sources.find import find_images
from camcli.jobs.report import read_run
from camcli.render.report import write_comparison, write_report

pytestmark = pytest.mark.slow  # a browser for each

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="no selenium").Keys
ActionChains = pytest.importorskip("selenium.webdriver").ActionChains

ODD = [
    ("cat/=SUM(1).jpg", "cat", "cat", 0.97, (1, 1)),
    ("cat/a,b;c\t'd'.jpg", "cat", "cat", 0.96, (1, 1)),
    ("cat/ü 猫 😀.jpg", "cat", "dog", 0.95, (1, 1)),
    ("+1.jpg", "dog", "dog", 0.94, (1, 1)),
    ("'x.jpg", "dog", "dog", 0.93, (1, 1)),
    ("dog/1.jpg", "dog", "dog", 0.92, (1, 1)),
    ("dog/2.jpg", "dog", "cat", 0.91, (1, 1)),
]
if os.name != "nt":
    ODD += [
        ("dog/line\nbreak.jpg", "dog", "dog", 0.90, (1, 1)),
        (os.fsdecode(b"dog/\xff\xc3.jpg"), "dog", "dog", 0.89, (1, 1)),
    ]


@pytest.fixture(scope="module")
def plain(make_run, items):
    run = make_run("marks", items)
    return write_report(read_run(run), run / "report")


@pytest.fixture(scope="module")
def odd(make_run):
    run = make_run("odd", ODD)
    return write_report(read_run(run), run / "report")


@pytest.fixture
def marked(page):
    """Open a page on which nothing is marked."""

    def open_(path, fragment=""):
        page.open(path, fragment)
        page.js("localStorage.clear()")
        return page.open(path, fragment)

    yield open_
    page.js("localStorage.clear()")


@pytest.fixture
def downloads(page, tmp_path):
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )

    def get(button, name):
        page.one(button).click()
        end = time.monotonic() + 10
        while not (tmp_path / name).exists():
            assert time.monotonic() < end, f"{name} was not downloaded"
            time.sleep(0.02)
        time.sleep(0.05)
        return tmp_path / name

    return get


def told(page):
    """path -> (mark, label, note) of all."""
    rows = page.js("return camcli.marks.all()")
    return {row["path"]: (row["mark"], row["label"], row["note"]) for row in rows}


def box(page, place):
    return page.all("#gallery .mark input")[place]


def focus(page, place):
    page.js("camcli.focusCard(arguments[0])", place)


def test_boxes_keys_and_ranges(marked, plain):
    page = marked(plain)
    paths = page.paths()
    assert not page.one("#marks").is_displayed()
    focus(page, 0)
    page.keys("d")
    focus(page, 1)
    page.keys("x")
    assert told(page) == {paths[0]: ("drop", "", ""), paths[1]: ("mark", "", "")}
    assert page.one("#marks-count").text == "1 to drop, 1 ticked"
    # A range begins where something was marked last, with the pointer or the keys.
    box(page, 2).click()
    shift = ActionChains(page.driver).key_down(keys.SHIFT).click(box(page, 4)).key_up(keys.SHIFT)
    shift.perform()
    assert [path for path, (mark, *_) in told(page).items() if mark == "mark"] == paths[1:5]
    focus(page, 7)
    page.keys(keys.SHIFT + "x")
    page.keys(keys.NULL)
    assert [path for path, (mark, *_) in told(page).items() if mark == "mark"] == paths[1:8]
    # The same key takes it off; z takes back whatever was done, one after the other.
    focus(page, 0)
    page.keys("d")
    assert paths[0] not in told(page)
    for _ in range(6):
        page.keys("z")
    assert told(page) == {}
    page.keys("z")
    assert page.one("#marks-said").text == "There is nothing to undo."
    assert page.one("#marks-count").text == "Nothing is marked."


def test_a_label_is_asked_for_and_the_prediction_offered(marked, plain):
    page = marked(plain)
    wrong = page.paths().index("cats/3.jpg")  # taken for a dog
    focus(page, wrong)
    page.keys("l")
    assert page.one("#mark-dialog").is_displayed()
    assert page.one("#mark-label").get_attribute("value") == "dog"
    page.keys(keys.ENTER)
    assert told(page) == {"cats/3.jpg": ("relabel", "dog", "")}
    assert page.one("#gallery .is-relabel .mark-words").text == "→ dog"
    # Its own class is none, an empty one neither; another may be new.
    right = page.paths().index("dogs/1.jpg")
    focus(page, right)
    page.keys("l")
    for text, said in (("dog", "labelled already"), ("", "Name a class")):
        label = page.one("#mark-label")
        label.clear()
        label.send_keys(text, keys.ENTER)
        assert said in page.one("#mark-wrong").text
    page.js("document.querySelector('#mark-label').value = 'fox 🦊'")  # no key of a driver
    page.one("#mark-note").send_keys("in the snow", keys.ENTER)
    assert told(page)["dogs/1.jpg"] == ("relabel", "fox 🦊", "in the snow")
    # Letters in a field are no keys, and Escape leaves all as it was.
    page.keys("n")
    assert page.one("#mark-note").get_attribute("value") == "in the snow"
    page.keys("x", "d", keys.ESCAPE)
    page.wait("return !document.querySelector('#mark-dialog').open")
    assert told(page)["dogs/1.jpg"] == ("relabel", "fox 🦊", "in the snow")


def test_all_that_is_ticked_is_decided_at_once(marked, plain):
    page = marked(plain, "#is=wrong")
    assert page.one("#tick-all").text == "Tick these 3"
    page.one("#tick-all").click()
    assert page.one("#marks-ticked-count").text == "3 ticked:"
    page.one("#marks [data-do=drop]").click()
    assert {mark for mark, *_ in told(page).values()} == {"drop"}
    assert len(told(page)) == 3
    assert not page.one("#marks-ticked").is_displayed()
    page.one("#marks-undo").click()
    assert {mark for mark, *_ in told(page).values()} == {"mark"}


def test_the_large_view_marks_what_it_shows(marked, plain):
    page = marked(plain)
    paths = page.paths()
    page.open(plain, f"#open={paths[0]}")
    page.wait("return document.querySelector('#view').open")
    page.keys("d")
    assert told(page) == {paths[0]: ("drop", "", "")}
    assert page.one("#view-marks [data-do=drop]").get_attribute("aria-pressed") == "true"
    page.keys(keys.ARROW_RIGHT)
    assert page.one("#view-marks [data-do=drop]").get_attribute("aria-pressed") == "false"
    page.one("#view-marks [data-do=note]").click()
    page.keys("hm", keys.ENTER)
    assert told(page)[paths[1]] == ("note", "", "hm")
    assert page.one("#view-marked").text == "hm"
    page.keys("x")  # takes every mark off
    assert paths[1] not in told(page)
    page.one("#view-marks input").click()
    assert told(page)[paths[1]][0] == "mark"


def test_marks_stay_in_the_browser_by_run(marked, plain, odd):
    page = marked(plain)
    paths = page.paths()
    page.js(
        "const [a, b] = arguments;"
        "camcli.marks.change([[a, {mark: 'drop'}], [b, {mark: 'note', note: 'n'}]])",
        *paths[:2],
    )
    page.open(odd)
    assert told(page) == {}
    page.open(plain, "#marked=drop")
    assert page.paths() == paths[:1]
    assert page.found() == "1 of 10 images, to drop"
    for which, wanted in (
        ("any", paths[:2]),
        ("note", paths[1:2]),
        ("none", paths[2:]),
        ("mark", []),
    ):
        page.js("camcli.writeHash({marked: arguments[0]})", which)
        assert page.paths() == wanted
    # What stands there may be anything.
    key = page.js(
        "return Object.keys(localStorage).find((name) => name.startsWith('camcli-marks:'))"
    )
    for text in (
        "{",
        "7",
        '{"marks": 3}',
        '{"marks": [1, ["a"], ["a", "eat"], ["b", "drop", 7], ["c", "drop"]]}',
    ):
        page.js("localStorage.setItem(arguments[0], arguments[1])", key, text)
        page.open(plain)
        assert set(told(page)) <= {"c"}


def test_what_cannot_be_kept_is_told(marked, plain):
    page = marked(plain)
    page.js("Storage.prototype.setItem = () => { throw new Error('full'); }")
    focus(page, 0)
    page.keys("d")
    assert page.one("#marks-lost").is_displayed()
    page.keys("z")


def test_what_is_exported_is_read_and_imported_again(marked, odd, downloads, tmp_path):
    page = marked(odd)
    names = [item[0] for item in ODD]
    assert sorted(page.js("return camcli.columns.path.map((p) => p.length)")) == sorted(
        len(name.encode("utf-16-le", "surrogatepass")) // 2 for name in names
    )
    wanted = {}
    kinds = [("drop", "", ""), ("relabel", "007", '"=1", \n; two'), ("note", "", "-x"),
             ("mark", "", ""), ("relabel", "'Mar-1", "1e5"), ("relabel", "=fox", "")]  # fmt: skip
    for n, name in enumerate(names):
        wanted[name] = kinds[n % 6]
    page.js("""const wanted = arguments[0];
        camcli.marks.change(camcli.columns.path.map((path) => {
          const [mark, label, note] = wanted[camcli.columns.seq[camcli.columns.path.indexOf(path)]];
          return [path, {mark, label, note}];
        }))""", list(wanted.values()))  # fmt: skip
    file = downloads("#marks-csv", "marks.csv")
    assert file.read_bytes().startswith(b"\xef\xbb\xbfpath,mark,label,note,source\r\n")
    found = read_marks(file).marks
    assert {m.path: (m.mark, m.label, m.note) for m in found} == wanted
    assert [m.path for m in found] == names  # in the run's order
    photos = odd.parents[2] / "photos"
    assert {m.source for m in found} == {str(photos)}
    assert "camcli apply marks.csv --to clean" in page.one("#marks-next").text
    # No cell of it is run or changed by a spreadsheet.
    text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    changed = ("007", "Mar-1", "1e5")
    assert not [c for c in cells if c.startswith(("=", "+", "-", "@")) or c in changed]
    paths = downloads("#marks-paths", "paths.txt")
    assert {ref.path for ref in find_images(f"@{paths}")} == {photos / name for name in names}
    # And back into an empty browser.
    page.js("localStorage.clear()")
    page.open(odd)
    assert told(page) == {}
    page.one("#marks-file").send_keys(str(file))
    page.wait("return camcli.marks.size > 0")
    assert page.js("return JSON.stringify(camcli.marks.all().length)") == str(len(names))
    page.one("#marks-csv")
    (tmp_path / "marks.csv").rename(tmp_path / "first.csv")
    again = downloads("#marks-csv", "marks.csv")
    assert again.read_bytes() == (tmp_path / "first.csv").read_bytes()


def test_python_and_the_page_read_what_the_page_writes(marked, plain, tmp_path):
    page = marked(plain)
    draw = random.Random(0)
    letters = [
        "a",
        "1",
        "0",
        "=",
        "'",
        '"',
        ",",
        ";",
        "\n",
        "\r",
        "\t",
        " ",
        "-",
        "é",
        "猫",
        "\udcff",
        "\ufeff",
    ]
    rows = []
    for n in range(300):
        path, label, note = ("".join(draw.choices(letters, k=draw.randint(0, 5))) for _ in "abc")
        # Labels are one line, without space at their ends.
        label = " ".join("".join(c for c in label if c.isprintable() or c == "\udcff").split())
        word = draw.choice(["drop", "note", "mark", *(["relabel"] if label else [])])
        rows.append({"path": f"{path}x{n}", "mark": word, "note": note, "source": "",
                     "label": label if word == "relabel" else ""})  # fmt: skip
    # As JSON: no driver takes half a character.
    data, again = page.js(
        "const bytes = camcli.marksFile.write(JSON.parse(arguments[0]));"
        "return [[...bytes], JSON.stringify(camcli.marksFile.read(bytes))]",
        json.dumps(rows),
    )
    assert json.loads(again) == {"rows": rows, "refused": []}
    (tmp_path / "marks.csv").write_bytes(bytes(data))
    found = read_marks(tmp_path / "marks.csv").marks
    assert [(m.path, m.mark, m.label, m.note) for m in found] == [
        (row["path"], row["mark"], row["label"], row["note"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("data", "said", "wanted"),
    [
        ("\ufeffpath;mark;label\r\ncats/1.jpg;Drop;\r\ncats/2.jpg;relabel;dog\r\n",
         "2 marks imported",
         {"cats/1.jpg": "drop", "cats/2.jpg": "relabel"}),
        ("sep=\t\nmark\tpath\tmore\ndrop\tcats/1.jpg\t1\ndelete\tcats/2.jpg\t2\n",
         "1 marks imported from m.csv; 1 lines are no marks, the first: cats/2.jpg, delete",
         {"cats/1.jpg": "drop"}),
        ("path,mark\ncats/1.jpg,drop\ngone.jpg,drop\n", "kept 1 of photographs that are not",
         {"cats/1.jpg": "drop", "gone.jpg": "drop"}),
        ("path,mark\ngone.jpg,drop\n", "not imported: none of its photographs is on this page", {}),
        ("a.jpg\n", "not imported: its first line names no path and mark", {}),
        ('path,mark\n"a,drop\n', "not imported: a quotation mark is not closed", {}),
        ("", "not imported", {}),
    ],
    ids=["excel", "tabs", "other", "none", "list", "torn", "empty"],
)  # fmt: skip
def test_what_people_edited_is_imported(marked, plain, tmp_path, data, said, wanted):
    page = marked(plain)
    (tmp_path / "m.csv").write_bytes(data.encode())
    page.one("#marks-file").send_keys(str(tmp_path / "m.csv"))
    page.wait("return document.querySelector('#marks-said').textContent")
    assert said in page.one("#marks-said").text
    assert {path: mark for path, (mark, *_) in told(page).items()} == wanted


def test_from_the_page_to_the_next_data_set(marked, make_run, items, downloads, tmp_path):
    """Whole: the run's photographs, marked with the keys, cleaned, as training reads them."""
    run = make_run("whole", items[:-1])
    page = marked(write_report(read_run(run), run / "report"))
    for path, key in (("cats/1.jpg", "d"), ("cats/3.jpg", "l")):
        focus(page, page.paths().index(path))
        page.keys(key)
    label = page.one("#mark-label")
    label.clear()
    label.send_keys("dogs", keys.ENTER)  # as the folder is called
    camcli.apply(downloads("#marks-csv", "marks.csv"), tmp_path / "clean")
    found = load_dataset(tmp_path / "clean", val=0.0)
    photos = run.parent / "photos"
    before = {p.read_bytes(): p.relative_to(photos).as_posix() for p in photos.rglob("*.jpg")}
    got = {before[item.ref.path.read_bytes()]: found.classes[item.target] for item in found.items}
    wanted = {path: path.split("/")[0] for path, *_ in items[:-1] if path != "cats/1.jpg"}
    assert got == wanted | {"cats/3.jpg": "dogs"}


def test_two_runs_have_marks_of_their_own(marked, make_run, items, downloads):
    run = make_run("before", items)
    other = make_run("after", items[:-1], folder=run.parent)
    page_file = write_comparison(read_run(run), read_run(other), run.parent / "both")
    page = marked(page_file)
    focus(page, 0)
    page.keys("d")
    (mark,) = read_marks(downloads("#marks-csv", "marks.csv")).marks
    assert mark.path == page.paths()[0]
    assert mark.source == str(run.parent / "photos")


def test_one_file_has_all_of_it(marked, make_run, items, downloads):
    run = make_run("one", items)
    page = marked(write_report(read_run(run), run / "one", self_contained=True))
    focus(page, 0)
    page.keys("d")
    assert read_marks(downloads("#marks-csv", "marks.csv")).counts == {"drop": 1}


def test_a_hostile_label_is_text(marked, plain):
    page = marked(plain)
    focus(page, 0)
    page.keys("l")
    label = page.one("#mark-label")
    label.clear()
    label.send_keys("<img src=x onerror=alert(1)>", keys.ENTER)
    assert page.one("#gallery .is-relabel .mark-words").text.startswith("→ <img src=x")
    assert page.js("return document.querySelectorAll('[onerror]').length") == 0
