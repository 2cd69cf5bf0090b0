"""Every number that a command takes, out of range: exit 2 with a sentence, before torch."""

import json
import os
import subprocess
import sys

import pytest
from typer.main import get_command

# So that a command whose number is taken goes on to a mistake of another kind.
BASE = {
    "explain": ["gone.jpg"],
    "batch": ["gone"],
    "merge": ["gone"],
    "train": ["--data", "gone"],
    "report": ["gone"],
    "evaluate": ["gone", "--faithfulness"],
    "audit": ["gone"],
    "check": ["gone"],
    "concepts": ["gone.jpg"],
    "apply": ["gone.csv", "--to", "clean"],
    "models": ["--filter", "gone"],
    "layers": ["gone"],
    "inspect": ["efficientnet_lite0"],
    "data synthetic": ["taken", "--classes", "gone"],
    "data describe": ["gone"],
    "data fetch": ["gone"],
}
WITH = {
    "--samples": ["--method", "sscam"],
    "--channels": ["--method", "scorecam"],
    "--converge": ["--method", "scorecam"],
    "--shortcut-share": ["--shortcut", "apple"],
}
# What is compared with a number of its own: nothing is out of its range.
NEVER = ["-1", "1" + "0" * 30, "nan", "inf", "-inf", "1e30"]


def numbers():
    """(command, option, whether it takes whole numbers) of all that take a number."""
    from camcli.cli.app import app

    def walk(command, words):
        for param in getattr(command, "params", ()):
            kinds = str(getattr(param, "type_descriptor", None) or getattr(param, "type", ""))
            if "'int'" in kinds or "'float'" in kinds or "INT" in kinds or "FLOAT" in kinds:
                yield " ".join(words), param.opts[0]
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*words, name])

    return list(walk(get_command(app), []))


def _with(command, option):
    methods = "--methods" if command == "evaluate" else "--method"
    return [methods if word == "--method" else word for word in WITH.get(option, [])]


CASES = [(command, option, value) for command, option in numbers() for value in NEVER]

PROGRAM = """
import json, sys
from typer.testing import CliRunner
from camcli.cli.app import app
for words in json.load(sys.stdin):
    done = CliRunner().invoke(app, words)
    heavy = [name for name in ("torch", "torchvision", "timm") if name in sys.modules]
    print(json.dumps([done.exit_code, " ".join(done.output.split()), heavy]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each command says, all from one process."""
    words = [
        [*command.split(), *BASE.get(command, []), *_with(command, option), f"{option}={value}"]
        if option.startswith("--")
        else [*command.split(), *BASE.get(command, []), option, value]
        for command, option, value in CASES
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(words), capture_output=True, text=True,
        check=False, cwd=tmp_path_factory.mktemp("numbers"), env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


def test_there_are_numbers():
    assert len(numbers()) > 40


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_number_out_of_range_is_refused_by_name(told, case):
    code, output, heavy = told[case]
    _, option, _ = case
    assert code == 2, output
    plain = option.lstrip("-").replace("-", " ")
    assert option in output or plain in output.replace("_", " "), output
    assert "mistake in camcli" not in output
    assert "Input should" not in output
    assert heavy == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["batch", "gone", "--limit", "0"], "not 0."),
        (["explain", "gone.jpg", "--topk", "1001"], "not 1001."),
        (["evaluate", "gone", "--grid", "7"], "not 7."),
        (["concepts", "gone.jpg", "-n", "1.5"], "not 1.5."),
        (["train", "--data", "gone", "--lr", "fast"], "not fast."),
        (["explain", "gone.jpg", "--fit", "hole"], "'hole' is not one of"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_was_given_is_named_in_plain_words(words, told):
    pytest.importorskip("typer._coercion", reason="older versions of Typer do not use pydantic")
    from typer.testing import CliRunner

    from camcli.cli.app import app

    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert told in done.output
    assert "Input should" not in done.output
    assert "Value error" not in done.output
