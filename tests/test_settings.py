"""Whatever a setting is given, it is taken, or refused in a sentence."""

from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import camcli
from camcli.errors import CamcliError, UsageError
from camcli.jobs.audit import AuditJob
from camcli.jobs.batch import BatchJob
from camcli.jobs.check import CheckJob
from camcli.jobs.concepts import ConceptsJob
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.layers import LayersJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.report import ReportJob
from camcli.jobs.train import TrainJob
from camcli.render.style import Style
from camcli.settings import Settings
from camcli.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Example(Settings):
    count: int | None = None
    share: float = 0.5
    word: Literal["a", "b"] = "a"
    out: Path | None = None
    runs: tuple[str, ...] | None = None
    files: list[str] | None = None


def test_a_value_of_its_type_is_taken_and_a_text_becomes_a_path():
    assert Example(count=np.int64(3), share=1, out="run").out == Path("run")
    assert Example(files=("a",)).files == ("a",)
    assert ReportJob(["a", Path("b")]).runs == [Path("a"), Path("b")]


@pytest.mark.parametrize(
    ("given_value", "told"),
    [
        ({"count": "3"}, "count is a whole number or None, not '3'"),
        ({"count": True}, "count is a whole number or None, not True"),
        ({"count": 1.5}, "count is a whole number or None, not 1.5"),
        ({"share": None}, "share is a number, not None"),
        ({"word": 1}, "word is a text, not 1"),
        ({"out": 1}, "out is a path or None, not 1"),
        ({"files": "a"}, "files is a list of texts or None, not 'a'"),
        ({"files": [1]}, "files is a list of texts or None, not .1."),
        ({"word": b"x" * 100}, r"not b'x{50,}\.\.\."),
    ],
)
def test_a_value_of_another_type_is_named(given_value, told):
    with pytest.raises(UsageError, match=told):
        Example(**given_value)


# Where what is checked is looked for: nothing is there, so nothing runs.
NOWHERE = {"images": "nosuch", "data": "nosuch", "source": "nosuch", "runs": ["nosuch"]}
RECORDS = [
    AuditJob, BatchJob, CheckJob, ConceptsJob, EvaluateJob, ExplainJob, LayersJob, MapJob, ModelJob,
    ReportJob, Style, TrainConfig, TrainJob,
]  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 5), st.just(10**30), st.floats(), st.text(max_size=3),
    st.sampled_from(["last", "nosuch", "cpu", "a,b", "0", "\0", "a/b"]), st.binary(max_size=2),
    st.lists(st.one_of(st.integers(), st.text(max_size=2)), max_size=2), st.just({"a": 1}),
    st.builds(object), st.builds(Path, st.sampled_from(["nosuch", "a/b"])),
    st.builds(np.int64, st.integers(0, 9)), st.builds(np.float32, st.floats(0, 1)),
)  # fmt: skip


# Each field with each of these: a number out of range costs no memory and no time before it is
# refused. (A list of 10**30 processes once took all of a machine.)
EXTREME = (
    10**30, 10**7, float("inf"), float("nan"), 1e300, -1, 0, "\0", "256x256", b"a", ["a"], [10**30],
    {"a": 1}, Path("nosuch"), Path("a\0b"), np.int64(7), None, True,
)  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_an_extreme_value_of_each_setting_is_taken_or_refused_in_a_sentence(record, tmp_path):
    names = [each.name for each in fields(record)]
    plain = {name: value for name, value in NOWHERE.items() if name in names}
    if "out" in names:
        plain["out"] = tmp_path / "out"
    for name in names:
        for value in EXTREME:
            with suppress(CamcliError):
                _made_and_checked(record, plain | {name: value}, tmp_path)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_any_value_of_any_setting_is_taken_or_refused_in_a_sentence(record, data, tmp_path):
    names = [each.name for each in fields(record)]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    given_values = {name: value for name, value in NOWHERE.items() if name in names}
    if "out" in names:
        given_values["out"] = tmp_path / "out"
    given_values |= {name: data.draw(ODD, label=name) for name in chosen}
    with suppress(CamcliError):
        _made_and_checked(record, given_values, tmp_path)


def _made_and_checked(record, values, folder):
    made = record(**values)
    if record is MapJob:
        made = BatchJob("nosuch", maps=made, out=folder / "out")
    if record is TrainConfig:
        made = TrainJob(made, out=folder / "out")
    if hasattr(made, "check"):
        made.check()


@pytest.mark.parametrize("name", ["model", "weights", "classes", "device", "layer", "input_size"])
@pytest.mark.parametrize("value", [1.5, b"x", object()], ids=lambda value: type(value).__name__)
def test_load_classifier_refuses_what_is_of_another_type(name, value):
    with pytest.raises(UsageError, match=f"^{name} is "):
        camcli.load_classifier(**{name: value})


@pytest.mark.parametrize("name", ["batch_size", "workers"])
@pytest.mark.parametrize("value", [-1, 0, 10**20])
def test_a_number_of_threads_or_images_is_one(name, value, tmp_path):
    option = name.replace("_", "-")
    with pytest.raises(UsageError, match=f"--{option} takes 1 to 1,000,000, not {value}"):
        BatchJob("nosuch", out=tmp_path / "out", **{name: value}).check()


def test_functions_teach_as_the_records_do(tmp_path):
    for call in (
        lambda: camcli.explain(5),
        lambda: camcli.explain("a.jpg", 5),
        lambda: camcli.batch(None),
        lambda: camcli.concepts(5),
        lambda: camcli.report(5),
        lambda: camcli.train(5, tmp_path),
        lambda: camcli.train(config=5),
        lambda: camcli.evaluate("nosuch", 5),
        lambda: camcli.evaluate("nosuch", models={"a": 1}),
        lambda: camcli.evaluate("nosuch", weights=5),
        lambda: camcli.evaluate("nosuch", methods=[1]),
        lambda: camcli.audit("nosuch", masks=5),
        lambda: camcli.layers(5),
    ):
        with pytest.raises(UsageError):
            call()
