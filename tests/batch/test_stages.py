"""Whatever a stage raises for one image is that image's row, in all engines; others are done."""

import math
import pickle
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camcli import files
from camcli.batch import engine, explain, overlay_writer, run
from camcli.batch.explain import make_explanation
from camcli.batch.ray.engine import RayEngine
from camcli.batch.ray.worker import Worker, task_of
from camcli.batch.run import Run
from camcli.batch.run_files.merge import merge
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.batch.tables.journal import read_rows
from camcli.data.decode import images, isolate
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.render import picture_files
from camcli.render.style import Style

STAGES = (
    "read", "decode", "resize", "network", "map", "numbers", "name", "draw", "encode", "write",
    "heatmaps", "journal",
)  # fmt: skip
ENGINES = ["local", "isolate", "shard", "ray"]


def colour(n):
    return n * 11, 255 - n * 11, 77


@pytest.fixture
def folder(tmp_path):
    """One picture of one colour for each stage, named after it, and a good one before and after."""
    (tmp_path / "in").mkdir()
    for n, name in enumerate(("first", *STAGES, "last")):
        path = tmp_path / "in" / f"{n:02}-{name}.png"
        Image.new("RGB", (120 + n, 90), colour(n)).save(path)
    return tmp_path / "in"


def number(name):
    return 1 + STAGES.index(name)


def sabotage(patch, preprocess):
    """Make each stage fail on the picture that is named after it."""

    def fails(owner, name, hit):
        before = getattr(owner, name)

        def disturbed(*args, **kw):
            if hit(*args, **kw):
                raise RuntimeError("sabotage\nand more")
            return before(*args, **kw)

        patch.setattr(owner, name, disturbed)

    def looks_like(pixels, stage):
        wanted = torch.tensor(colour(number(stage)), device=pixels.device)
        return bool((pixels[..., 40, 40].reshape(-1, 3) == wanted).all(1).any())

    def seen_like(look, stage):
        wanted = torch.tensor(colour(number(stage)), dtype=torch.uint8).reshape(1, 3, 1, 1)
        wanted = preprocess.normalise(wanted.expand(1, 3, 2, 2))[0, :, 0, 0]
        return bool(torch.isclose(look.images[:, :, 40, 40], wanted, atol=1e-4).all(1).any())

    fails(images, "read_bytes", lambda ref: "read" in ref.path.name)
    fails(isolate, "read_bytes", lambda ref: "read" in ref.path.name)
    fails(images, "decode_picture", lambda data, name, enough: "decode" in Path(name).name)
    fails(isolate._Process, "decode", lambda self, name, data, enough: "decode" in Path(name).name)
    fails(Preprocess, "pixels", lambda self, rgb, size=None: tuple(rgb[0, 0]) == colour(3))
    fails(Classifier, "look", lambda self, pixels, *_: looks_like(pixels, "network"))
    fails(explain, "maps_of", lambda classifier, seen, *_: seen_like(seen, "map"))
    fails(explain, "describe", lambda m, view, size, **_: size[0] == 120 + number("numbers"))
    fails(overlay_writer.Namer, "name", lambda self, result: "name" in result.ref.rel)
    fails(Style, "draw", lambda self, rgb, result: "draw" in result.ref.rel)
    jpeg = picture_files.KINDS["jpeg"]

    def encode(rgb, quality):
        if rgb.shape[1] == 120 + number("encode"):
            raise RuntimeError("sabotage\nand more")
        return jpeg.encode(rgb, quality)

    patch.setitem(picture_files.KINDS, "jpeg", replace(jpeg, encode=encode))
    fails(run, "line", lambda result: "heatmaps" in result.ref.rel)
    fails(run, "row", lambda result, top: "journal" in result.ref.rel and not result.error)


class InProcess(RayEngine):
    """Ray's workers without Ray: blocks of three references, pickled there and back."""

    def __call__(self, run, refs, what):
        token = run.directory.temporary.absolute() / "ray-token"
        token.touch()
        task = task_of(run, what, token, self.load, self.runtime, self.precision, 1)
        worker = Worker(pickle.loads(pickle.dumps(task)))
        packed = [pickle.dumps(ref) for ref in refs]
        for n in range(0, len(packed), 3):
            block = {"number": list(range(n, n + len(packed[n : n + 3]))), "ref": packed[n : n + 3]}
            for data, problem in zip(*map(worker(block).get, ("result", "problem")), strict=True):
                if problem:
                    raise CamcliError(problem)
                yield pickle.loads(data)


def whole_run(bundled, folder, out, kind, prepared=lambda: None, **prepare):
    """All of a run with one engine; its rows."""
    load = partial(load_classifier, "efficientnet_lite0", device="cpu")
    for shard in (Shard(1, 2), Shard(2, 2)) if kind == "shard" else (None,):
        one = Run(
            find_images(folder), bundled, make_explanation(bundled), RunDirectory(out, shard),
            Style(min_size=0), batch_size=6, workers=2, isolate=kind == "isolate",
            engine=InProcess(load, runtime="torch") if kind == "ray" else None,
        )  # fmt: skip
        one.prepare(**prepare)
        prepared()
        list(one)
    if kind == "shard":
        merge(out)
    return list(read_rows(out / "predictions.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENGINES)
def test_every_stage_fails_for_one_image_and_the_others_are_done(
    bundled, folder, tmp_path, monkeypatch, kind
):
    if kind == "isolate" and sys.platform == "win32":
        pytest.skip("needs POSIX")
    names = sorted(path.name for path in folder.iterdir())
    out = tmp_path / "run"

    def blocks():
        """A folder in the place of one picture."""
        picture = out / "overlays" / f"{number('write'):02}-write.png.jpg"
        (picture / "full").mkdir(parents=True, exist_ok=True)

    with monkeypatch.context() as patch:
        sabotage(patch, bundled.preprocess)
        rows = whole_run(bundled, folder, out, kind, blocks)
        assert [row["path"] for row in rows] == names
        for row in rows:
            name = row["path"][3:].removesuffix(".png")
            if name in STAGES:
                assert row["status"] == "error"
                assert row["error"].startswith(f"{name}: "), row["error"]
                assert row["path"] in row["error"]
                assert "\n" not in row["error"]
                if name != "write":
                    assert row["error"].endswith(": RuntimeError: sabotage.")
                assert not row["overlay"]
            else:
                assert row["status"] in {"ok", "empty"}
                assert (out / row["overlay"]).is_file()
        written = {p.name for p in (out / "overlays").rglob("*") if p.is_file()}
        assert written == {names[0] + ".jpg", names[-1] + ".jpg"}
        assert {r["path"] for r in read_heatmaps(out / "heatmaps.jsonl")} == {names[0], names[-1]}
        # To go on gets past them, and changes nothing.
        assert whole_run(bundled, folder, out, kind, resume=True) == rows


@pytest.fixture
def what(bundled):
    return make_explanation(bundled)


def broken(bundled, change):
    """The bundled network with its logits changed."""
    before = bundled.look

    class Broken(Classifier):
        __slots__ = ()

        def look(self, pixels, watch=None):
            seen = Classifier.look(self, pixels, watch)
            return replace(seen, logits=change(seen.logits.clone(), pixels))

    assert before
    return Broken(**{f: getattr(bundled, f) for f in Classifier.__dataclass_fields__})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_an_error_of_their_image_alone(bundled, folder, what, value):
    def change(logits, pixels):
        guilty = (pixels[:, 2, 40, 40] == 77) & (pixels[:, 0, 40, 40] == colour(4)[0])
        logits[guilty, 3] = value
        return logits

    results = list(engine.stream(find_images(folder), broken(bundled, change), what, batch_size=6))
    errors = {r.ref.rel: r.error for r in results if r.error}
    assert list(errors) == ["04-network.png"]
    assert "not finite" in errors["04-network.png"]
    assert errors["04-network.png"].startswith("network: ")


def test_weights_that_are_not_numbers_make_every_image_an_error(bundled, folder, what):
    results = list(
        engine.stream(find_images(folder), broken(bundled, lambda x, _: x * math.nan), what)
    )
    assert len(results) == len(STAGES) + 2
    assert all(r.status == "error" and "not finite" in r.error for r in results)
    assert all(r.prob is None and not r.heats for r in results)


def test_a_map_that_is_not_finite_is_an_error_of_its_image_alone(
    bundled, folder, what, monkeypatch
):
    maps_of = explain.maps_of

    def poisoned(classifier, seen, *args):
        maps = maps_of(classifier, seen, *args).clone()
        maps[len(maps) // 2, 0, 0] = math.inf
        return maps if len(maps) > 1 else maps_of(classifier, seen, *args)

    with monkeypatch.context() as patch:
        patch.setattr(explain, "maps_of", poisoned)  # only in company: alone it is well
        results = list(engine.stream(find_images(folder), bundled, what, batch_size=6))
        assert not any(r.error for r in results)
    patch.setattr(explain, "maps_of", lambda *args: maps_of(*args) * math.inf)
    results = list(engine.stream(find_images(folder), bundled, what, batch_size=6))
    patch.undo()
    assert all(r.error.startswith("map: ") and "not finite" in r.error for r in results)


def test_names_of_classes_with_half_a_character_do_not_end_a_run(bundled, folder, tmp_path):
    """JSON can write them; no file can hold them."""
    odd = replace(bundled, classes=tuple(f"\ud83d{name}" for name in bundled.classes))
    rows = whole_run(odd, folder, tmp_path / "run", "local")
    assert all(row["pred"].startswith("\ufffd") for row in rows)


def test_only_what_concerns_one_picture_is_its_error(bundled, folder, tmp_path, monkeypatch):
    """A folder that takes no picture at all ends the run."""
    real = RunDirectory._write

    def refuses(self, path, data):
        if "overlays" in path.parts:
            raise PermissionError(13, "Permission denied")
        real(self, path, data)

    def full(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RunDirectory, "_write", refuses)
    monkeypatch.setattr(files.tempfile, "TemporaryFile", full)
    with pytest.raises(CamcliError, match=r"Cannot write .*Permission denied.*--resume"):
        whole_run(bundled, folder, tmp_path / "run", "local")


def test_numbers_survive(bundled, folder, what):
    """The good ones of a batch that is taken apart are those of a batch that is not."""
    refs = list(find_images(folder))
    expected = list(engine.stream(refs, bundled, what, batch_size=6))

    def change(logits, pixels):
        if (pixels[:, 0, 40, 40] == colour(4)[0]).any():
            raise ValueError("this shape only")
        return logits

    results = list(engine.stream(refs, broken(bundled, change), what, batch_size=6))
    for a, b in zip(expected, results, strict=True):
        if b.ref.rel == "04-network.png":
            assert b.error.endswith(": ValueError: this shape only.")
            continue
        assert a.pred == b.pred
        assert a.prob == pytest.approx(b.prob, abs=1e-4)
        scale = np.abs(a.heats[0].heatmap).max()
        assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-4 * scale)
