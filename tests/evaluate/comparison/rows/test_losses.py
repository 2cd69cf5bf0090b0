"""What fails late costs itself: each measure is made to fail once, and the others stay."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring import compare, in_domain, one_pass, refusals
from camcli.evaluate.comparison.result import table
from camcli.evaluate.comparison.rows import work
from camcli.evaluate.comparison.turn import network_turn
from camcli.evaluate.comparison.turn.networks import ComparedNetwork
from camcli.evaluate.measured import seen as seen_module
from camcli.jobs import calibration
from camcli.jobs.evaluate import EvaluateJob
from camcli.train.progress import Listener


class Told(Listener):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    warn = say


class Stopped(BaseException):
    """As a signal of the command line is."""


def network(classifier, name="colours"):
    return ComparedNetwork(
        name, classifier.layer, classifier.classes, lambda layer, listener: classifier,
        lambda: [("head", classifier)],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """The pictures of the results cost more than all the rest, and are drawn in other tests."""
    monkeypatch.setattr(table, "chart", lambda rows, title="": b"a chart")
    monkeypatch.setattr(table, "confusion_pictures", lambda told: {"confusion.png": b"cells"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs a class, the colour in the left half; boxes around it."""
    tmp_path = tmp_path_factory.mktemp("losses")
    rng = np.random.default_rng(0)
    lines = ["path,x0,y0,x1,y1"]
    for channel, name in enumerate(("red", "green", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(4):
            rgb = rng.integers(0, 20, (32, 32, 3), dtype=np.uint8)
            rgb[:, :16, channel] += 200
            Image.fromarray(rgb).save(tmp_path / "photos" / name / f"{n}.png")
            lines.append(f"{name}/{n}.png,0,0,16,32")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    some = [lines[0], *lines[1:3]]
    (tmp_path / "some.csv").write_text("\n".join(some))
    return tmp_path


@pytest.fixture
def job(folder, tmp_path):
    return asked(folder, tmp_path)


def asked(folder, out):
    return EvaluateJob(
        str(folder / "photos"), "cam", "", boxes=folder / "boxes.csv", faithfulness=True,
        suite="full", calibrate=folder / "some.csv", store=out / "boxes.toml", bootstrap=10,
        labels="folder", out=out / "out",
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(by_colour, folder):
    """What there is where nothing fails."""
    job = replace(asked(folder, folder), out=None, store=None)
    return found_by(job.run(Told(), [network(by_colour)]))


def found_by(result):
    """All numbers by row and metric."""
    return {
        (row.model, row.method, metric): value
        for row in (*result.rows, *result.sanity)
        for metric, value in row.metrics.items()
    }


def failing(real, when=lambda *args, **options: True):
    def fails(*args, **options):
        if when(*args, **options):
            raise RuntimeError("it broke")
        return real(*args, **options)

    return fails


PLACES = {"pointing", "energy", "maxboxacc", "maxboxacc_v2", "pxap"}
LATE = [
    (one_pass, "paint", {"pointing", "maxboxacc_v2"}, "no localization of cam"),
    (one_pass, "overlaps", {"box_iou"}, "no fit of the box as written of cam"),
    (one_pass, "shape_of", {"sparseness"}, "no form of the map of cam"),
    (one_pass, "faithfulness_of", {"deletion", "adcc"}, "no faithfulness of cam"),
    (in_domain.InDomain, "add", {"sds", "idsds", "ffid_plus"}, "no answers to photographs without"),
    (in_domain.InDomain, "_deleted", {"idsds"}, "no single deletion by a head that got used"),
    (in_domain.InDomain, "_faithful", {"ffid_plus"}, "no F-Fidelity"),
    (one_pass, "judged", {"top1"}, "no predictions"),
    (network_turn, "compare_copies", {"rank@head"}, "no sanity check"),
    (network_turn, "compare_labels", {"rank@random-labels"}, "no check with random labels"),
    (network_turn, "advise", set(), "no verdict"),
    (table, "chart", set(), "No chart"),
    (table, "confusion_pictures", set(), "No picture of the confusion matrix"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "gone", "words"), LATE, ids=[each[1] for each in LATE])
def test_what_fails_costs_itself_alone(
    by_colour, job, whole, monkeypatch, module, name, gone, words
):
    monkeypatch.setattr(module, name, failing(getattr(module, name)))
    told = Told()
    result = job.run(told, [network(by_colour)])
    assert any(words in line for line in result.lost), result.lost
    assert set(result.lost) <= set(told.lines), "told at once"
    assert all("it broke" in line for line in result.lost)
    left = found_by(result)
    lost = {metric for _, _, metric in whole} - {metric for _, _, metric in left}
    assert gone <= lost | {m for r, _, m in whole.keys() - left.keys()}
    assert left
    assert left.items() <= whole.items(), "what is left is what it was"
    record = json.loads((job.out / "results.json").read_text())
    assert record["lost"] == list(result.lost)
    assert result.lost[0].split(":")[0] in (job.out / "results.md").read_text()
    assert (job.out / "results.csv").is_file()
    assert ("results.png" in result.files) == (name != "chart")
    assert job.store.is_file()


def test_one_method_that_fails_costs_the_others_nothing(by_colour, job, whole, monkeypatch):
    """At its fourth photograph, when three have been counted."""
    seen = []

    def fourth(classifier, seen_, how, method, seed):
        seen.append(method)
        return method == "cam" and seen.count("cam") == 4

    monkeypatch.setattr(one_pass, "faithfulness_of", failing(one_pass.faithfulness_of, fourth))
    result = job.run(Told(), [network(by_colour)])
    (sentence,) = result.lost
    assert sentence.startswith("colours: no faithfulness of cam (at ")
    assert seen.count("cam") == 4, "and is not tried again"
    gone = whole.keys() - found_by(result).keys()
    assert {method for _, method, _ in gone} == {"cam"}
    assert "deletion" in {metric for *_, metric in gone}
    assert "sparseness" not in {metric for *_, metric in gone}


def test_a_folder_that_was_taken_away_costs_no_number(by_colour, job, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(table, "put_together", full)
    monkeypatch.setattr(calibration, "write_whole", full)
    result = job.run(Told(), [network(by_colour)])
    assert result.out is None
    assert len(result.rows) > 3
    assert ["No space left" in line for line in result.lost] == [True, True]


def test_a_second_network_that_cannot_be_opened_is_told_before_the_first_is_asked(by_colour, job):
    def gone(layer, listener):
        raise UsageError("There are no weights of it.")

    second = replace(network(by_colour, "second"), load=gone)
    told = Told()
    with pytest.raises(UsageError, match="There are no weights"):
        job.run(told, [network(by_colour), second])
    assert not job.out.exists()


def test_a_second_network_that_fails_later_costs_the_first_nothing(
    by_colour, job, whole, monkeypatch
):
    monkeypatch.setattr(
        network_turn, "calibrate_network",
        failing(network_turn.calibrate_network, lambda classifier, name, *_, **__: name == "two"),
    )  # fmt: skip
    two = [network(by_colour), network(by_colour, "two")]
    result = job.run(Told(), two)
    assert result.lost == ("two: no measures: RuntimeError: it broke.",)
    assert found_by(result) == whole


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stopped])
@pytest.mark.parametrize(
    ("module", "name", "photographs", "words"),
    [
        (one_pass, "faithfulness_of", 4, "colours was stopped after 4 of 12 photographs; not mea"),
        (work, "draws", 12, "colours was stopped while intervals were drawn; not measured: "),
        (in_domain.InDomain, "_faithful", 12, "colours was stopped before all of it was"),
        (network_turn, "compare_copies", 12, "colours was stopped before all of it was measured."),
    ],
)  # fmt: skip
def test_what_was_measured_is_kept_when_a_person_stops_it(
    by_colour, job, monkeypatch, error, module, name, photographs, words
):
    real, calls = getattr(module, name), []

    def stops(*args, **options):
        calls.append(name)
        # Of two methods and the Gaussian: in the middle of the fourth photograph.
        if len(calls) == (11 if name == "faithfulness_of" else 1):
            raise error
        return real(*args, **options)

    monkeypatch.setattr(module, name, stops)
    monkeypatch.setattr(network_turn, "expected_seconds", lambda *args, **options: None)
    given, told = [], Told()
    with pytest.raises(error):
        job.run(told, [network(by_colour), network(by_colour, "two")], given.append)
    (result,) = given
    assert words in result.partial[0]
    sane = ("colours has no sanity check.",) if name != "compare_copies" else ()
    assert result.partial[1:] == (*sane, "two was not measured.")
    assert any(line.endswith(" ".join(result.partial)) for line in told.lines), "seen at once"
    assert max(row.count for row in result.rows) == photographs
    record = json.loads((job.out / "results.json").read_text())
    assert record["partial"] == list(result.partial)
    assert "**Not everything was measured:**" in (job.out / "results.md").read_text()
    assert not (job.out / "results.csv").exists(), "nobody takes it for all"
    assert (job.out / "results-partial.csv").is_file()
    assert not result.advice or name == "compare_copies"
    # The next one takes its place.
    monkeypatch.setattr(module, name, real)
    small = replace(job, overwrite=True, suite=None, faithfulness=False)
    small.run(Told(), [network(by_colour)])
    assert not (job.out / "results-partial.csv").exists()
    assert (job.out / "results.csv").is_file()


def test_copies_that_were_compared_stay_where_a_person_stops_the_check_with_labels(
    by_colour, job, whole, monkeypatch
):
    def stops(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(network_turn, "compare_labels", stops)
    given = []
    with pytest.raises(KeyboardInterrupt):
        job.run(Told(), [network(by_colour)], given.append)
    kept = found_by(given[0])
    assert kept == {key: whole[key] for key in kept}
    assert ("colours", "cam", "rank@head") in kept
    assert "rank@head" in (job.out / "results-partial.csv").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stopped])
@pytest.mark.parametrize("name", ["chart", "confusion_pictures"])
def test_who_stops_it_while_pictures_are_drawn_has_all_that_was_measured(
    by_colour, job, whole, monkeypatch, error, name
):
    def stops(*args, **options):
        raise error

    monkeypatch.setattr(table, name, stops)
    given, told = [], Told()
    with pytest.raises(error):
        job.run(told, [network(by_colour)], given.append)
    (result,) = given
    assert found_by(result) == whole
    assert not result.partial
    assert result.lost == ("No pictures: it was stopped while they were drawn.",)
    assert {path.name for path in job.out.iterdir()} == {
        "results.json", "results.csv", "results.md"
    } == set(result.files)  # fmt: skip
    assert json.loads((job.out / "results.json").read_text())["lost"] == list(result.lost)
    assert job.store.is_file()


def test_who_stops_it_twice_leaves_it(by_colour, job, monkeypatch):
    def stops(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "draws", stops)
    monkeypatch.setattr(table, "chart", stops)
    with pytest.raises(KeyboardInterrupt):
        job.run(Told(), [network(by_colour)], lambda result: pytest.fail("it was left"))
    assert not job.out.exists()


@pytest.mark.parametrize("name", ["calibrate_network", "faithfulness_of"])
def test_nothing_is_written_where_nothing_was_measured(by_colour, job, monkeypatch, name):
    """In the calibration, and while it is tried how long it will take."""

    def stops(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(one_pass if name == "faithfulness_of" else network_turn, name, stops)
    with pytest.raises(KeyboardInterrupt):
        job.run(Told(), [network(by_colour)], lambda result: pytest.fail("there is none"))
    assert not job.out.exists()


def test_a_network_that_fails_in_the_middle_is_measured_until_then(by_colour, job, monkeypatch):
    real = compare.see_photographs

    def dies(*args, **options):
        for n, seen in enumerate(real(*args, **options)):
            if n == 6:
                raise RuntimeError("the device is lost")
            yield seen

    monkeypatch.setattr(compare, "see_photographs", dies)
    plain = replace(job, suite=None, calibrate=None, store=None)
    result = plain.run(Told(), [network(by_colour)])
    assert "colours failed after 6 of 12 photographs: RuntimeError: the device" in result.lost[0]
    assert result.partial
    assert result.row("cam").count == 6
    assert result.row("cam").intervals


def test_a_broken_mask_is_its_photographs_affair(by_colour, folder, tmp_path):
    masks = tmp_path / "masks"
    for n in range(4):
        (masks / "red").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32), 255 * (n > 0), np.uint8)).save(masks / f"red/{n}.png")
    (masks / "red" / "3.png").write_bytes(b"no picture")
    job = EvaluateJob(str(folder / "photos"), "cam", "", masks=masks, labels="none", bootstrap=0)
    result = job.run(Told(), [network(by_colour)])
    assert result.row("cam").count == 3
    (told,) = result.unreadable
    assert "3.png cannot be read" in told
    with pytest.raises(UsageError, match="is no trimap"):
        replace(job, trimap=True).run(Told(), [network(by_colour)])


def test_a_network_of_one_size_is_told_before_the_grid(by_colour, job, monkeypatch):
    looked = []
    real = type(by_colour).see

    def see(self, images, watch=None):
        if images.shape[-1] != 32:
            raise AssertionError("Wrong image height! Expected 32 but got 64!")
        return real(self, images, watch)

    monkeypatch.setattr(type(by_colour), "see", see)
    monkeypatch.setattr(compare, "see_photographs", lambda *a, **k: looked.append(a) or iter(()))
    four = replace(by_colour, classes=("red", "green", "blue", "grey"))
    with pytest.raises(UsageError, match=r"64x64 pixels, as the 2x2 grid .*leave --grid 2 out"):
        replace(job, grid=[2], suite=None).run(Told(), [network(four)])
    assert not looked
    assert not refusals.why_no_grid(by_colour, 1)


def test_boxes_that_are_cut_at_the_edges_are_counted_and_named(by_colour, folder, tmp_path):
    """A pixel more is how programs round; of what lies outside altogether it is told as before."""
    boxes = tmp_path / "boxes.csv"
    rows = ["red/0.png,0,0,16,33", "red/1.png,0,0,300,32", "green/0.png,-9,0,16,32"]
    boxes.write_text("\n".join(["path,x0,y0,x1,y1", *rows]))
    job = EvaluateJob(str(folder / "photos"), "cam", "", boxes=boxes, labels="none", bootstrap=0)
    told = Told()
    job.run(told, [network(by_colour), network(by_colour, "two")])
    (line,) = [line for line in told.lines if "reaches out" in line]
    assert line.startswith("In --boxes, what reaches out of the picture is cut")
    assert "green/0.png, -9,0,16,32 in 32x32 pixels" in line
    # The boxes that choose a threshold are cut in the same way, and told of likewise.
    told = Told()
    job = replace(job, boxes=None, calibrate=boxes)
    job.run(told, [network(by_colour), network(by_colour, "two")])
    (calibrating,) = [line for line in told.lines if "reaches out" in line]
    assert calibrating == line.replace("--boxes", "--calibrate")


@pytest.mark.parametrize("how", ["raises", "not finite", "raises later"])
def test_a_method_without_maps_costs_itself(by_colour, folder, monkeypatch, how):
    """On one network, and not on the next; and no photograph is lost with it."""
    real, calls = seen_module.maps_of, []

    def fails(classifier, look, index, options, *more):
        maps = real(classifier, look, index, options, *more)
        if options.method.name != "eigencam" or classifier is not broken:
            return maps
        calls.append(len(maps))
        if how == "raises later" and len(calls) < 2:
            return maps
        if how == "not finite":
            return maps * float("nan")
        raise RuntimeError("it broke")

    broken = replace(by_colour)
    monkeypatch.setattr(seen_module, "maps_of", fails)
    job = replace(asked(folder, folder), methods="cam,eigencam", out=None, store=None)
    # Then nothing else asks for maps, and it fails on the second batch of photographs.
    if how == "raises later":
        job = replace(job, calibrate=None, suite=None, faithfulness=False)
    told = Told()
    result = job.run(told, [network(broken), network(by_colour, "two")])
    assert result.unreadable == ()
    (sentence,) = result.lost
    assert sentence.startswith(f"{network(broken).name}: no maps of eigencam (at ")
    assert {row.model for row in result.rows if row.method == "eigencam"} == {"two"}
    monkeypatch.undo()
    one = replace(job, methods="cam").run(Told(), [network(broken)])
    mine = {key: value for key, value in found_by(result).items() if key[0] != "two"}
    assert mine == pytest.approx(found_by(one), nan_ok=True)
    both = job.run(Told(), [network(by_colour), network(by_colour, "two")])
    theirs = {key: value for key, value in found_by(both).items() if key[0] == "two"}
    assert {k: v for k, v in found_by(result).items() if k[0] == "two"} == pytest.approx(
        theirs, nan_ok=True
    )


def test_a_photograph_of_which_no_method_makes_a_map_is_unreadable(by_colour, folder, monkeypatch):
    real = seen_module.maps_of

    def fails(classifier, look, index, options, *more):
        if options.method.name != "random" and int(look.logits[0].argmax()) == 0:
            raise RuntimeError("it broke")
        return real(classifier, look, index, options, *more)

    monkeypatch.setattr(seen_module, "maps_of", fails)
    job = EvaluateJob(
        str(folder / "photos"), "cam,eigencam", "", boxes=folder / "boxes.csv", labels="none",
        bootstrap=0,
    )  # fmt: skip
    result = job.run(Told(), [network(by_colour)])
    assert result.lost == ()
    assert len(result.unreadable) == 4
    assert all("it broke" in one for one in result.unreadable)
    assert result.row("eigencam").count == result.row("cam").count == 8


def test_a_measure_lost_on_one_network_is_measured_on_the_next(by_colour, folder, monkeypatch):
    real, calls = one_pass.shape_of, []
    monkeypatch.setattr(
        one_pass, "shape_of", failing(real, lambda *args: calls.append(args) or len(calls) == 1)
    )
    # Nothing is timed beforehand, which asks for it, too.
    job = replace(asked(folder, folder), out=None, store=None, calibrate=None, suite=None)
    result = job.run(Told(), [network(by_colour), network(by_colour, "two")])
    assert len(result.lost) == 1
    rows = {(row.model, row.method) for row in result.rows if "sparseness" in row.metrics}
    lost = result.lost[0].partition(" form of the map of ")[2].split()[0]
    assert {model for model, method in rows if method == lost} == {"two"}
