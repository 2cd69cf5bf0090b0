"""`camcli.evaluate`, `camcli.audit` and `camcli.report`: the same numbers as the commands."""

import json
import logging
from pathlib import Path

import pytest

import camcli
from camcli.data.synthetic.scenes import write_scenes
from camcli.errors import UsageError
from camcli.jobs.model import ModelJob
from camcli.train.progress import Bar, Listener


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "s"
    write_scenes(folder, counts={"test": 5}, classes=("banana", "lemon"), size=64)
    return folder


@pytest.fixture(scope="module")
def small():
    return camcli.load_classifier(input_size=64, device="cpu")


class Ear(Listener):
    def __init__(self):
        self.said, self.counted = [], 0

    def say(self, text):
        self.said.append(text)

    def bar(self, title, total, unit):
        ear = self

        class Counted(Bar):
            def advance(self, count):
                ear.counted += count

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

        return Counted()


def test_a_network_by_name_loaded_and_described_are_one(scenes, small):
    ear = Ear()
    common = {"masks": scenes / "masks" / "test", "methods": ["cam"], "bootstrap": 0, "limit": 1}
    described = ModelJob(input_size=64, device="cpu")
    found = camcli.evaluate(
        scenes / "test", {"loaded": small, "described": described}, listener=ear, **common
    )
    assert (found.photographs, ear.counted, found.out, found.files) == (1, 2, None, ())
    assert "1 photograph, 2 networks." in ear.said
    for method in ("random", "cam"):
        assert found.row(method, "loaded").metrics == found.row(method, "described").metrics
    with pytest.raises(UsageError, match="loaded, described"):
        found.row("cam")
    with pytest.raises(UsageError, match="centre-box"):
        found.row("gradcam")
    named = camcli.evaluate(scenes / "test", input_size=64, **common)
    assert named.row("cam").metrics == found.row("cam", "loaded").metrics
    assert found._repr_markdown_() == found.markdown()
    assert "| cam (described) |" in found.markdown()


def test_photographs_may_be_named_one_by_one(scenes, small, tmp_path):
    files = sorted((scenes / "test").glob("*/*.*"))[:2]
    assert len(files) == 2
    found = camcli.evaluate(
        files, small, faithfulness=True, labels="none", bootstrap=0, out=tmp_path / "out"
    )
    assert (found.photographs, found.data) == (2, "2 named images")
    assert "deletion" in found.row("gradcam").metrics
    seen = camcli.audit(files, small, out=tmp_path / "audit")
    assert [fact.photo.path for fact in seen.facts] == files
    assert json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))["source"] is None


@pytest.mark.slow
def test_what_is_returned_is_what_is_written(scenes, small, tmp_path):
    ear, out = Ear(), tmp_path / "out"
    found = camcli.evaluate(
        scenes / "test", small, masks=scenes / "masks" / "test", bootstrap=9, limit=3, out=out,
        listener=ear,
    )  # fmt: skip
    assert f"Wrote {', '.join(found.files)} to {out}." in ear.said
    assert sorted(found.files) == sorted(path.name for path in out.iterdir())
    record = json.loads((out / "results.json").read_text("utf-8"))
    assert [row["metrics"] for row in record["rows"]] == [row.metrics for row in found.rows]
    assert record["settings"] == found.settings
    assert (out / "results.csv").read_bytes() == found.csv().encode()
    assert (out / "results.md").read_bytes() == found.markdown().encode()
    assert len(found.standings) == len(record["against_centre_box"]) > 0
    with pytest.raises(UsageError, match="exists"):
        camcli.evaluate(scenes / "test", small, masks=scenes / "masks" / "test", out=out)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"sanity": True}, "randomised copies of efficientnet_lite0"),
        ({"grid": 2, "layer": "blocks.3"}, "give layer to load_classifier"),
        ({"grid": 2, "preset": "localize"}, "give fit and input_size to load_classifier"),
        ({"grid": 5}, "--grid takes 2 or 3, not 5"),
        ({"grid": 2, "confidence": 2}, "--confidence"),
        ({"grid": 2, "confidence": float("nan")}, "--confidence"),
        ({"grid": 2, "tolerance": -1}, "--tolerance"),
        ({"grid": 2, "bootstrap": 10**6}, "--bootstrap"),
        ({"grid": 2, "limit": 0}, "--limit"),
        ({"grid": 2, "threshold": 1}, "--threshold"),
        ({"grid": 2, "scale": "log"}, "--scale takes relu, minmax"),
        ({"grid": 2, "smooth": "blur"}, "blur"),
        ({"grid": 2, "converge": 0.9}, "--converge is for"),
        ({"grid": 2, "trimap": True}, "--masks"),
        ({"labels": "none"}, "Nothing to measure"),
    ],
)
def test_what_cannot_be_meant_is_refused(scenes, small, options, part):
    with pytest.raises(UsageError, match=part):
        camcli.evaluate(scenes / "test", small, **options)


def test_two_networks_of_one_name_are_told_apart_by_the_user(scenes, small):
    with pytest.raises(UsageError, match="dict of names"):
        camcli.evaluate(scenes / "test", [small, small], grid=2)


def test_an_audit_returns_what_it_writes(scenes, tmp_path):
    small = camcli.load_classifier(input_size=64, fit="squash", device="cpu")
    ear = Ear()
    found = camcli.audit(
        scenes / "test", small, masks=scenes / "masks" / "test", k=2, out=tmp_path / "audit",
        listener=ear,
    )  # fmt: skip
    assert ear.counted == 10
    assert found.masks
    assert len(found.facts) == sum(row.count for row in found.classes) == 10
    record = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))
    assert [row["label"] for row in record["classes"]] == [row.label for row in found.classes]
    assert record["clusters"].keys() == found.alike.clusters.keys()
    assert sorted(found.files) == sorted(path.name for path in (tmp_path / "audit").iterdir())
    assert len(repr(found)) < 1500
    table = found._repr_markdown_().splitlines()
    table = table[table.index("| class | correct | stray heat | at border | one corner | |") :]
    assert len(table) >= 2 + len(found.classes)
    for row, line in zip(found.classes, table[2:], strict=False):
        assert line.startswith(f"| {row.label} | {row.right}/{row.count} | ")
    named = camcli.audit(
        scenes / "test", masks=scenes / "masks" / "test", fit="squash", input_size=64, device="cpu"
    )
    assert [fact.stray for fact in named.facts] == pytest.approx(
        [fact.stray for fact in found.facts], nan_ok=True
    )
    with pytest.raises(UsageError, match="give fit to load_classifier"):
        camcli.audit(scenes / "test", small, fit="crop")
    with pytest.raises(UsageError, match="--clusters takes kmeans, spectral"):
        camcli.audit(scenes / "test", small, clusters="means")
    with pytest.raises(UsageError, match="-k must"):
        camcli.audit(scenes / "test", small, k=0)


def test_a_run_is_audited_and_shown(scenes, small, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for name in ("run", "other"):
        list(camcli.batch(scenes / "test", name, small, max_size=64))
    found = camcli.audit("run")
    assert len(found.facts) == 10
    # The bundled network is loaded again as the run had it, or given.
    assert not any("Nothing was proved" in each for each in found.not_looked)
    given = camcli.audit("run", small)
    assert given.not_looked == found.not_looked
    info = json.loads(Path("run/run.json").read_text())
    info["provenance"] |= {"name": "my.module:factory", "source": "user"}
    Path("run/run.json").write_text(json.dumps(info))
    unproved = camcli.audit("run").not_looked
    assert any("no code" in each or "code of your own" in each for each in unproved), unproved
    Path("run/run.json").write_text(
        json.dumps(
            info
            | {
                "provenance": {
                    "name": "efficientnet_lite0",
                    "source": "bundled",
                    "sha256": "0" * 64,
                }
            }
        )
    )
    assert any("weights have changed" in each for each in camcli.audit("run").not_looked)
    with pytest.raises(UsageError, match="weights have changed"):
        camcli.audit("run", small)
    for options in ({"method": "layercam"}, {"input_size": 64}):
        with pytest.raises(UsageError, match="whose maps are made: leave"):
            camcli.audit("run", **options)
    assert camcli.report("run") == Path("run/report/index.html")
    assert Path("run/report/index.html").is_file()
    both = camcli.report("run", "other", self_contained=True)
    assert both == Path("camcli-comparison/index.html")
    for runs in ((), ("run",) * 3):
        with pytest.raises(UsageError, match=f"not {len(runs)}"):
            camcli.report(*runs)
    with pytest.raises(UsageError, match="--thumbnails"):
        camcli.report("run", thumbnails=-1)
    Path("other/heatmaps.jsonl").unlink()
    with caplog.at_level(logging.INFO, "camcli"):
        camcli.report("other", out="page")
    assert "other has no heatmaps.jsonl" in caplog.text
