import os
import subprocess
import sys
from pathlib import Path

from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]


def commands():
    from camcli.cli.app import app

    def walk(command, words):
        yield command, words
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*words, name])

    return list(walk(get_command(app), []))


def test_help_of_every_command_explains_every_option(camcli):
    for command, words in commands():
        done = camcli(*words, "--help")
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        for option in command.params:
            own = option.name not in {"help", "install_completion", "show_completion"}
            if own and option.param_type_name == "option":
                assert option.help, f"{words} {option.name} has no help"


def test_help_does_not_import_torch():
    code = (
        "import sys\n"
        "sys.argv = ['camcli', 'batch', '--help']\n"
        "from camcli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
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
