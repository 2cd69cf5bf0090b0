"""Whole searches on small drawn images: what they settle, leave behind and survive."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.train.config import AUTO, TrainConfig
from camcli.train.config_file import resolve
from camcli.train.processes import ALONE
from camcli.train.run import train
from camcli.train.search import find
from camcli.train.search.find import Search
from camcli.train.search.looks import ImageLook, Native
from camcli.train.search.networks import Networks
from camcli.train.search.views import LearntViews


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def searching(quick) -> TrainConfig:
    """An untrained ShuffleNet on small inputs, of which the fit and the head are open."""
    return replace(quick, search=True, epochs=TrainConfig().epochs, batch_size=32)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_ends_in_settings_that_repeat_the_run(searching, tmp_path, cache, ear):
    out = tmp_path / "run"
    result = train(searching, out, cache_dir=cache, listener=ear)
    rows = rows_of(out / "search.csv")
    (won,) = [row for row in rows if row["won"]]
    settled = resolve(out / "config.toml", {})
    assert settled == replace(
        searching, search=False, solver="lbfgs", pooling=won["pooling"], l2=settled.l2,
        fit=won["fit"] or None, mirror=settled.mirror, augment=settled.augment,
    )  # fmt: skip
    assert str(LearntViews.given(settled)) == won["views"]
    assert {"", "mirrored"} <= {row["views"] for row in rows}
    assert settled.l2 == pytest.approx(float(won["l2"]))
    info = json.loads((out / "run.json").read_text("utf-8"))
    assert info["config"] == settled.to_dict()
    assert info["asked"]["search"] is True
    assert info["search"]["candidates"] == len(rows) > 4
    assert {"search", "features", "head"} <= info["seconds"].keys()
    assert sum("Chosen:" in line for line in ear.said) == 1
    assert all(len(line) <= 80 for line in ear.said if line.startswith("  "))
    assert {row["fit"] for row in rows} == {"", "squash"}

    # The settings alone, without a search, are the same run.
    again = train(settled, tmp_path / "again", cache_dir=cache)
    assert again.scores == result.scores
    assert not (tmp_path / "again" / "search.csv").exists()
    one, other = (load_classifier(checkpoint=x.checkpoint).head for x in (result, again))
    assert one.weight.equal(other.weight)


@pytest.mark.slow
def test_a_finished_search_is_resumed_with_what_was_asked_and_with_what_was_found(
    searching, tmp_path, cache, ear
):
    out = tmp_path / "run"
    train(searching, out, cache_dir=cache)
    for config in (searching, resolve(out / "config.toml", {})):
        train(config, out, cache_dir=cache, resume=True, listener=ear)
    assert sum("finished already" in line for line in ear.said) == 2
    with pytest.raises(UsageError, match="was made with search = True, and this run has False"):
        train(replace(searching, search=False), out, cache_dir=cache, resume=True)
    train(searching, out, cache_dir=cache, overwrite=True)


@pytest.mark.slow
def test_a_run_that_was_stopped_in_the_search_searches_again_and_later_goes_on(
    searching, tmp_path, cache, monkeypatch, ear
):
    out, whole = tmp_path / "run", tmp_path / "whole"
    train(searching, whole, cache_dir=cache)

    real = Search._try

    def stopped(self, look, *args, **more):
        if look.fit == "squash":
            raise KeyboardInterrupt
        return real(self, look, *args, **more)

    monkeypatch.setattr(Search, "_try", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(searching, out, cache_dir=cache)
    assert not (out / "search.csv").exists()
    monkeypatch.setattr(Search, "_try", real)

    # Stopped after the search, it goes on without another one.
    monkeypatch.setattr("camcli.train.steps.Steps._judge", stopped_in_judging)
    with pytest.raises(KeyboardInterrupt):
        train(searching, out, cache_dir=cache, resume=True)
    monkeypatch.undo()
    monkeypatch.setattr(Search, "go", None)
    train(searching, out, cache_dir=cache, resume=True, listener=ear)
    left, right = (resolve(folder / "config.toml", {}) for folder in (out, whole))
    assert left == right
    assert (out / "metrics.json").read_text() == (whole / "metrics.json").read_text()
    kept = json.loads((out / "run.json").read_text("utf-8"))
    assert kept["asked"] == searching.to_dict()
    assert kept["search"]["candidates"] > 4
    train(searching, out, cache_dir=cache, resume=True)  # finished, and still the same run


def stopped_in_judging(*args):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_held_out_images_choose_nothing(searching, tmp_path, cache, draw):
    data = draw(tmp_path / "set", {"train": 10, "val": 4, "test": 4}, seed=3)
    settled = []
    for name in ("one", "other"):
        train(replace(searching, data=str(data)), tmp_path / name, cache_dir=cache)
        settled.append(resolve(tmp_path / name / "config.toml", {}))
        for split in ("val", "test"):  # their classes change places
            red, green = data / split / "red", data / split / "green"
            red.rename(data / "red"), green.rename(red), (data / "red").rename(green)
    assert settled[0] == settled[1]


@pytest.mark.slow
def test_few_images_are_compared_first_and_the_better_half_of_the_looks_on_all(
    searching, tmp_path, cache, draw, monkeypatch
):
    monkeypatch.setattr(find, "FEW", 12)
    monkeypatch.setattr(find, "PER_CLASS", 2)
    data = draw(tmp_path / "set", {"train": 16, "val": 2})
    train(replace(searching, data=str(data)), tmp_path / "run", cache_dir=cache)
    rows = rows_of(tmp_path / "run" / "search.csv")
    assert {row["images"] for row in rows} == {"12", "32"}
    last = [row for row in rows if row["images"] == "32"]
    assert len({row["fit"] for row in last}) == 1
    assert [row["won"] for row in last].count("yes") == 1


def test_what_there_is_no_time_for_is_not_begun_and_said(searching, tmp_path, cache, ear):
    config = replace(searching, time_limit="0.001s")
    train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert any("left out" in line and "s are left" in line for line in ear.said)
    info = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert info["search"]["left_out"] == [
        "shufflenet_v2_x0_5 64 squash", "shufflenet_v2_x0_5 64 mirrored"
    ]  # fmt: skip
    assert info["status"] == "finished"


def test_labels_of_which_an_image_has_several_are_searched_for_too(
    searching, tmp_path, cache, colours
):
    lines = ["path,red,green"]
    for split, count in (("train", 10), ("val", 4)):
        for n in range(count):
            for name in ("red", "green"):
                lines.append(f"{split}/{name}/{n}.png,{int(name == 'red')},{int(n % 3 > 0)}")
    table = colours / "labels.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    config = replace(searching, data=str(table))
    result = train(config, tmp_path / "run", cache_dir=cache)
    table.unlink()
    assert result.scores["val"]["mean_ap"] > 0.5
    assert load_classifier(checkpoint=result.checkpoint).output.kind == "sigmoid"


def test_an_image_that_cannot_be_read_is_left_out_and_told_once(
    searching, tmp_path, cache, draw, ear
):
    data = draw(tmp_path / "set", {"train": 6, "val": 3})
    (data / "train" / "red" / "2.png").write_bytes(b"no picture")
    train(replace(searching, data=str(data)), tmp_path / "run", cache_dir=cache, listener=ear)
    assert sum("2.png" in line for line in ear.warned) == 1


def test_too_few_images_to_compare_heads_are_trained_on_all_the_same(
    searching, tmp_path, cache, draw, ear
):
    data = draw(tmp_path / "set", {"train": 1, "val": 2})
    train(replace(searching, data=str(data)), tmp_path / "run", cache_dir=cache, listener=ear)
    assert any("too few" in line for line in ear.said)
    assert resolve(tmp_path / "run" / "config.toml", {}).search is False


@pytest.fixture
def views_are(monkeypatch):
    """Makes the losses of heads that learn from views so much greater; returns their judges."""

    def make(more: float) -> list[tuple[int, bool]]:
        asked = []
        real = find.judge

        def judged(*args, views=(), plain=True, **more_of):
            found = real(*args, views=views, plain=plain, **more_of)
            if not views:
                return replace(found, losses=0 * found.losses + 1, right=~found.right | True)
            asked.append((len(views), plain))
            return replace(found, losses=0 * found.losses + 1 + more * len(views))

        def half(self):
            return 0.5

        monkeypatch.setattr(find, "judge", judged)
        monkeypatch.setattr(find.Contender, "explained", True)
        monkeypatch.setattr("camcli.train.search.judge.Judged.accuracy", property(half))
        monkeypatch.setattr("camcli.train.run.Steps.go", lambda *args: None)
        monkeypatch.setattr(find, "may_be_of_examples", lambda config: False)
        return asked

    return make


@pytest.mark.parametrize(
    ("more", "asked", "settled"),
    [
        (-0.1, [(1, True), (3, True)], (True, 2)),  # the more the better
        (0.1, [(1, True)], (False, 0)),  # mirrored ones harm: no more is looked at
        (0.0, [(1, True)], (False, 0)),  # of no use, and dearer
    ],
)
def test_views_are_taken_where_they_help_by_more_than_the_error(
    searching, tmp_path, cache, ear, views_are, more, asked, settled
):
    told = views_are(more)
    train(replace(searching, fit="crop"), tmp_path / "run", cache_dir=cache, listener=ear)
    assert told == asked
    found = resolve(tmp_path / "run" / "config.toml", {})
    assert (found.mirror, found.augment) == settled
    assert sum("best, mirrored" in line for line in ear.said) == len(asked)


def test_views_that_are_asked_for_are_judged_and_kept(searching, tmp_path, cache, ear, views_are):
    told = views_are(0.1)
    config = replace(searching, fit="crop", augment=2, time_limit="0.001s")
    train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert told == [(2, False)]  # none of them shows the image as it is
    found = resolve(tmp_path / "run" / "config.toml", {})
    assert (found.mirror, found.augment) == (False, 2)
    (won,) = [row for row in rows_of(tmp_path / "run" / "search.csv") if row["won"]]
    assert won["views"] == "2 parts"
    assert found.l2 == pytest.approx(float(won["l2"]))


def test_without_time_or_errors_views_are_not_looked_at(
    searching, tmp_path, cache, ear, views_are, monkeypatch
):
    told = views_are(-0.1)
    config = replace(searching, fit="crop", time_limit="0.001s")
    train(config, tmp_path / "late", cache_dir=cache, listener=ear)
    assert told == []
    assert any(line.startswith("  mirrored: left out") and len(line) <= 80 for line in ear.said)
    monkeypatch.setattr("camcli.train.search.judge.Judged.accuracy", property(lambda self: 0.995))
    train(replace(config, time_limit="5m"), tmp_path / "good", cache_dir=cache)
    assert told == []


def test_larger_networks_look_as_the_best_one_does():
    search = Search.__new__(Search)
    tried = []
    search._names, search._config = ["small", "large"], TrainConfig(data="x", backbone=AUTO)
    search._networks = Networks(search._config, "cpu", True)
    search._networks.native = {"large": Native(240, "crop", {}, 8)}
    search._networks.open = lambda name: None
    search._left = lambda: 60.0
    search._try = lambda look, images: tried.append(look) or []
    search._larger(ImageLook("small", 320, "squash"), 10)
    search._larger(ImageLook("small"), 10)
    assert tried == [ImageLook("large", 320, "squash"), ImageLook("large")]


def test_layers_that_are_not_there_are_told_before_the_search(searching, tmp_path, cache, ear):
    config = replace(searching, unfreeze="layer4")
    with pytest.raises(UsageError, match="--unfreeze: the backbone has no layer 'layer4'"):
        train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    assert not (tmp_path / "run").exists()
    assert not any("Searching" in line for line in ear.said)


def test_a_network_that_has_not_the_layers_to_unfreeze_is_no_candidate(searching, ear):
    search = Search.__new__(Search)
    search._names, search._listener = ["small", "large"], ear
    search._config = replace(searching, unfreeze="layer4")

    def gone(name):
        raise UsageError("It has no layer4.")

    search._networks = Networks(search._config, "cpu", True)
    search._networks.open, search._left = gone, lambda: 60.0
    assert search._larger(ImageLook("small"), 10) == []
    assert ear.said == ["  large is left out. It has no layer4."]
    search._left, search._left_out = (lambda: -1.0), []
    assert search._larger(ImageLook("small"), 10) == []
    assert ear.said[1:] == ["  large: left out, no time is left"]


@pytest.mark.slow
def test_layers_learn_from_what_was_found_on(searching, tmp_path, cache, ear):
    config = replace(searching, unfreeze="conv5", epochs2=1)
    result = train(config, tmp_path / "run", cache_dir=cache, listener=ear)
    info = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert info["config"]["unfreeze"] == "conv5"
    (verdict,) = info["fine_tuning"]
    assert verdict["images"] == 8
    assert any("the head alone" in line for line in ear.said)
    stages = [row["stage"] for row in rows_of(tmp_path / "run" / "metrics.csv")]
    assert stages == ["1", "2"]
    classifier = load_classifier(checkpoint=result.checkpoint)
    assert classifier.head is not None


def test_heads_without_an_exact_map_are_taken_where_that_is_allowed(
    searching, tmp_path, cache, monkeypatch, ear
):
    real = find.judge_by_examples

    def better(kind, *args):
        found = real(kind, *args)
        return found if kind == "prototype" else replace(found, losses=0.0 * found.losses - 1)

    monkeypatch.setattr(find, "judge_by_examples", better)
    train(searching, tmp_path / "run", cache_dir=cache, listener=ear)
    assert resolve(tmp_path / "run" / "config.toml", {}).head != "neighbours"
    assert any("--no-explainable" in line for line in ear.said)
    config = replace(searching, explainable=False)
    train(config, tmp_path / "free", cache_dir=cache, listener=ear)
    settled = resolve(tmp_path / "free" / "config.toml", {})
    assert (settled.head, settled.l2, settled.solver) == ("neighbours", None, None)
    assert load_classifier(checkpoint=tmp_path / "free" / "best.safetensors").head is None


@pytest.mark.parametrize(
    ("limit", "rest", "dear"), [(100, 0, False), (52, 0, True), (100, 90, True), (200, 90, False)]
)
def test_what_follows_a_look_that_may_win_has_its_time(limit, rest, dear, ear):
    tried, other = ImageLook("small"), ImageLook("small", None, "squash")
    search = object.__new__(Search)
    search._limit, search._started, search._judging = limit, time.perf_counter(), 10.0
    search._speed, search._rest = {tried: 0.05, other: 0.05}, {tried: rest}
    search._dataset, search._team = SimpleNamespace(items=range(1000)), ALONE
    search._left_out, search._listener = [], ear
    # 300 images take 15 s and the other 700 35 s; judging takes 15 s.
    assert search._too_dear(other, 300) is dear
    assert len(ear.said) == dear
    assert all("left out" in line and len(line) <= 80 for line in ear.said)
