import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from camcli.cli.short_help import PANELS, shown
from camcli.cli.value_names import WORDS

ROOT = Path(__file__).resolve().parents[2]


def app():
    from camcli.cli.app import app

    return app


def commands():
    def walk(command, words):
        yield command, words
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*words, name])

    return list(walk(get_command(app()), []))


def test_help_of_every_command_explains_every_option(camcli):
    for command, words in commands():
        done = camcli(*words, "--help")
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        for option in command.params:
            own = option.name not in {"help", "install_completion", "show_completion"}
            if own and option.param_type_name == "option":
                assert option.help, f"{words} {option.name} has no help"


def test_help_all_has_every_option(camcli):
    for command, words in commands():
        if not shown(words[-1] if words else ""):
            continue
        done = camcli(*words, "--help-all")
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        for option in command.params:
            if option.param_type_name == "option":
                assert option.opts[0] in done.stdout, f"{words} {option.opts[0]}"


# What Typer and click call types, in brackets or not, and how they write a range.
TYPES = (
    r"<[a-z]|list\[|\b(int|float|str|bool|path|dir|file) range\b|\bx<=|<=x|>=x|\bx>="
    r"|\b(INTEGER|FLOAT|BOOLEAN|DIRECTORY|Path)\b"
)


def test_no_help_shows_the_name_of_a_type(camcli):
    """A value is called by a word for a person; a switch and an argument by nothing more."""
    for command, words in commands():
        for option in (
            ("--help", "--help-all") if shown(words[-1] if words else "") else ("--help",)
        ):
            told = camcli(*words, option).stdout
            found = [line for line in told.splitlines() if re.search(TYPES, line)]
            assert not found, (words, option, found)
        context = command.make_context("camcli", [], resilient_parsing=True)
        for param in command.get_params(context):
            if param.param_type_name == "option":
                switch = isinstance(param.default, bool) or param.is_flag
                assert param.metavar is not None, (words, param.opts)
                assert bool(param.metavar) != switch, (words, param.opts, param.metavar)


def test_the_words_for_values_are_of_options_that_there_are():
    """A word for an option that is gone, or that has its own, would never be shown."""
    options = [p for command, _ in commands() for p in command.params]
    for name, word in WORDS.items():
        assert any(p.opts[0] == name and p.metavar == word for p in options), name


def test_a_range_is_told_in_words(camcli):
    told = " ".join(camcli("evaluate", "--help-all").stdout.replace("│", " ").split())
    for words in ("N [2 to 3]", "N [at least 1]", "P [0 to 1]"):
        assert words in told


def test_what_is_in_brackets_is_shown_and_no_style(camcli):
    """rich takes ``[evaluate]`` for a style that it does not know, and shows nothing."""
    seen = 0
    for command, words in commands():
        whole = "--help-all" if shown(words[-1] if words else "") else "--help"
        told = "".join(camcli(*words, whole).stdout.replace("│", " ").split())
        texts = [getattr(p, "help", None) or "" for p in command.params] + [command.help or ""]
        for name in re.findall(r"\[[^\]]+\]", " ".join(texts)):
            seen += 1
            assert "".join(name.split()) in told, f"{words} {name}"
    assert seen, "nothing in brackets in any help"


@pytest.mark.parametrize("name", PANELS)
def test_groups_of_options_come_in_the_order_in_which_one_decides(camcli, name):
    (command,) = [found for found, words in commands() if words == [name]]
    there = list(dict.fromkeys(getattr(p, "rich_help_panel", None) for p in command.params))
    there = [panel for panel in there if panel]
    assert there == [panel for panel in PANELS[name] if panel in there], "a group without its place"
    told = camcli(name, "--help-all").stdout
    places = [told.index(f"╭─ {panel} ") for panel in there]
    assert places == sorted(places)
    for panel in there:  # in a group as they are written
        own = [p.opts[0] for p in command.params if getattr(p, "rich_help_panel", None) == panel]
        lines = [told.index(f"│ {option} ", told.index(f"╭─ {panel} ")) for option in own]
        assert lines == sorted(lines)


def test_help_of_a_command_with_many_options_fits_a_screen_and_says_where_the_rest_is(camcli):
    for command, words in commands():
        options = [p for p in command.params if p.param_type_name == "option"]
        words_of = shown(words[-1] if words else "")
        assert words_of or len(options) <= 16 or hasattr(command, "commands"), words
        if not words_of:
            continue
        assert set(words_of) <= {p.opts[0] for p in options}, words
        assert len(words_of) <= 15
        done = camcli(*words, "--help")
        assert len(done.stdout.splitlines()) <= 45, words
        assert f"{len(options) - len(words_of)} more options" in done.stdout
        for option in options:
            named = f"│ {option.opts[0]} " in done.stdout
            assert named == (option.opts[0] in words_of), f"{words} {option.opts[0]}"


def test_camcli_alone_says_what_a_newcomer_needs(camcli):
    done = camcli()
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) < 10
    for command in ("camcli explain", "camcli batch", "camcli train", "camcli --help"):
        assert command in done.stdout
    assert camcli("no-such-command").exit_code == 2


@pytest.mark.parametrize(
    ("line", "some", "others"),
    [
        ("explain cat.jpg --method xg", {"xgradcam"}, {"gradcam"}),
        ("explain cat.jpg --method cam,xg", {"cam,xgradcam"}, {"xgradcam"}),
        ("batch photos --method cam,xg", set(), {"cam,xgradcam"}),
        ("batch photos --colormap v", {"viridis"}, {"jet"}),
        ("batch photos --model resnet1", {"resnet18", "resnet101"}, {"resnet50"}),
        ("batch photos --model timm:resnet1", {"timm:resnet18"}, {"resnet18"}),
        ("batch photos --runtime ", {"auto", "torch", "openvino"}, set()),
        ("batch photos --format ", {"csv", "jsonl", "parquet"}, {"table"}),
        ("batch photos --fuse m", {"mean", "max"}, {"product"}),
        ("evaluate photos --methods cam,layer", {"cam,layercam"}, {"layercam", "cam,cam"}),
        ("explain cat.jpg --checkpoint mine.safetensors --layer ", {"last"}, {"blocks"}),
        ("explain cat.jpg --model mine.py:build --layer ", {"last"}, {"blocks"}),
    ],
)
def test_the_shell_completes_what_is_known(line, some, others):
    offered = completed(line)
    assert some <= offered
    assert not others & offered


@pytest.mark.slow
def test_layers_are_completed_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    offered = completed("explain cat.jpg --model resnet18 --layer layer3,lay")
    assert {"layer3,layer1", "layer3,layer4"} <= offered
    (kept,) = (tmp_path / "layers").iterdir()
    kept.write_text('["a", "b"]')
    assert completed("explain cat.jpg --model resnet18 --layer ") == {"last", "a", "b"}


@pytest.mark.parametrize("words", ["layers", "weights where", "weights fetch"])
def test_a_network_that_is_an_argument_is_completed(words):
    command, context = get_command(app()), None
    for word in words.split():
        command = command.commands[word]
    context = command.make_context(word, [], resilient_parsing=True)
    (param,) = [p for p in command.params if p.param_type_name == "argument"]
    assert {"resnet18"} <= {item.value for item in param.shell_complete(context, "resnet1")}


def completed(line):
    """What bash would be told after `line`."""
    command = get_command(app())
    context = command.make_context("camcli", [], resilient_parsing=True)
    *words, begun = line.split(" ")
    name, *words = words
    command = command.commands[name]
    *words, option = words
    context = command.make_context(name, words, parent=context, resilient_parsing=True)
    (param,) = [p for p in command.params if option in p.opts]
    return {item.value for item in param.shell_complete(context, begun)}


def test_the_shell_is_told_by_a_subprocess():
    line = "camcli explain cat.jpg --method xg"
    env = {**os.environ, "_CAMCLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "4"}
    code = "import sys; sys.argv = ['camcli']; from camcli.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.split() == ["xgradcam"], done.stderr


def test_help_does_not_import_torch():
    code = (
        "import sys\n"
        "sys.argv = ['camcli', 'batch', '--help']\n"
        "from camcli.__main__ import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "bad = {'torch', 'torchvision', 'timm', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version_and_module_are_the_same_program(shell):
    from camcli import __version__

    assert shell("--version").stdout.decode().strip() == f"camcli {__version__}"


def test_help_is_quick():
    """Not a benchmark: a guard against an import of seconds on the way to --help."""
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "camcli", "--help"], capture_output=True, check=True)
        after = os.times()
        # Processor time: what a busy machine does meanwhile does not count.
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < 1.5


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["my cat.jpg"], "camcli explain 'my cat.jpg'"),
        (["photos"], "camcli batch photos --out run"),
        (["help"], "camcli --help"),
        (["explian", "x.jpg"], "explain"),
        (["nothing.jpg"], "No such command"),
        (["train", "photos"], "by --data"),
    ],
)
def test_what_a_newcomer_leaves_out_is_told(camcli, tmp_path, monkeypatch, words, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my cat.jpg").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    done = camcli(*words)
    assert done.exit_code == 2
    assert hint in " ".join(done.stderr.split())


def test_sentences_are_wrapped_where_they_are_shown(camcli, monkeypatch):
    """And not where somebody broke a line of the program."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = camcli("audit", "--help-all").stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if "What is suspected" in line)
    end = next(n for n in range(start, len(lines)) if not lines[n].strip())
    assert all(len(line.strip()) > 60 for line in lines[start : end - 1])
