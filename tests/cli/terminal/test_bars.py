"""Bars in a terminal, lines in a file: how fast it goes, and how long it will take."""

import io
import itertools
import subprocess
import sys
import time

import pytest
from tqdm import tqdm

from camcli.cli.terminal.bars import FIRST, MOST, bar, skip
from camcli.cli.terminal.progress import TerminalListener


class Screen(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self):
        return True

    def seen(self):
        """All that stood on the last line at some time, or stands above it."""
        return self.getvalue().replace("\r", "\n").split("\n")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = self.begun = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    # Which tqdm asks in each of its bars.
    init = tqdm.__init__

    def with_clock(self, *args, **options):
        init(self, *args, **options)
        self._time = clock
        self.start_t = self.last_print_t = clock.now

    monkeypatch.setattr(tqdm, "__init__", with_clock)
    return clock


@pytest.fixture
def to(monkeypatch):
    """Puts a stream in the place of stderr; within the test, as pytest has its own before."""

    def put(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", "80")
        return stream

    return put


def test_a_file_gets_fewer_lines_the_longer_it_takes(to, clock):
    file = to(io.StringIO())
    with bar(10_000_000, unit="img", title="features") as drawn:
        clock.now += 0.1
        drawn.update(0)
        said = []
        while drawn.n < drawn.total:
            clock.now += 1
            before = len(file.getvalue())
            drawn.update(1000)
            if len(file.getvalue()) > before:
                said.append(clock.now - clock.begun)
    gaps = [b - a for a, b in itertools.pairwise(said)]
    assert said[0] == pytest.approx(FIRST, abs=1.5)
    assert min(gaps) >= FIRST
    assert FIRST < max(gaps) <= MOST + 1
    assert gaps == sorted(gaps)
    assert len(said) < 10_000 / FIRST / 5
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "999.99 img/s" in lines[-1]


def test_what_was_kept_from_before_is_not_how_fast_it_goes(to, clock):
    file = to(io.StringIO())
    with bar(1000, unit="img", title="features") as drawn:
        skip(drawn, 900)
        for _ in range(11):
            clock.now += 1
            drawn.update(2)
    (line, *_) = file.getvalue().splitlines()
    assert "/1000 [" in line
    assert "2.00 img/s" in line
    assert "<00:3" in line or "<00:4" in line  # some 80 images at 2 a second


def test_epochs_have_a_bar_in_a_terminal_where_they_take_long_and_it_goes_with_them(to, clock):
    screen = to(Screen())
    listener = TerminalListener()
    with listener.bar("head", 4, "epoch") as shown:
        listener.say("epoch 1/4")
        shown.advance(1)
        assert screen.seen() == ["epoch 1/4", ""]  # a second of epochs needs none
        clock.now += 20
        shown.advance(1)
        shown.show(val=0.5)
        clock.now += 10
        listener.say("epoch 2/4")
        shown.advance(1)
    text = screen.getvalue()
    drawn = [line for line in screen.seen() if line.startswith("head: ")]
    assert drawn
    assert all(len(line) <= 80 for line in drawn)
    assert any("<" in line and "/4" in line for line in drawn)
    assert "epoch 2/4" in screen.seen()
    assert text.rpartition("\r")[2] == ""  # nothing of it is left


def test_epochs_have_no_bar_in_a_file(to):
    file = to(io.StringIO())
    listener = TerminalListener()
    with listener.bar("head", 4, "epoch") as shown:
        shown.skip(2)
        shown.advance(2)
    assert file.getvalue() == ""


def test_what_takes_a_moment_and_what_was_done_before_leaves_no_line(to):
    file = to(io.StringIO())
    listener = TerminalListener()
    with listener.bar("read", 3, "file") as shown:
        shown.advance(3)
    with listener.bar("features", 3, "img") as shown:
        shown.skip(3)
    with listener.passing("a look", 3, "img") as shown:  # a line tells of it
        shown.advance(3)
    assert file.getvalue() == ""
    screen = to(Screen())
    with listener.bar("read", 3, "file") as shown:
        shown.advance(3)
    with listener.bar("features", 3, "img") as shown:
        shown.skip(3)
    assert screen.getvalue().rpartition("\r")[2] == ""
    assert "read" not in screen.getvalue()


@pytest.mark.parametrize("unit", ["img", "epoch"])
def test_a_bar_of_a_listener_counts_from_where_it_was(to, clock, unit):
    screen = to(Screen())
    with TerminalListener().bar("features", 10, unit) as shown:
        clock.now += 5
        shown.skip(4)
        shown.advance(1)
        clock.now += 5
        shown.advance(1)
    assert any("6/10" in line for line in screen.seen())


def test_news_is_broken_between_words_in_a_terminal_and_is_one_line_in_a_file(to):
    text = "  a table's line   3.0 s"
    long = "Chosen: " + "as good as another look, within one standard error; " * 3
    file = to(io.StringIO())
    TerminalListener().say(text)
    TerminalListener().say(long)
    assert file.getvalue().splitlines() == [text, long]
    screen = to(Screen())
    TerminalListener().say(text)
    TerminalListener().say(long)
    first, *lines = screen.getvalue().splitlines()
    assert first == text
    assert all(60 < len(line) <= 80 for line in lines[:-1])
    assert " ".join(lines).strip() == long.strip()


@pytest.mark.parametrize(
    "before",
    ["from camcli.cli.terminal.progress import TerminalListener; TerminalListener()",
     "from camcli.cli.load_model import begin; from camcli.jobs.model import ModelJob; "
     "begin(ModelJob(), quiet=True)",
     "import camcli.cli.terminal.bars"],
)  # fmt: skip
def test_no_bar_of_the_program_makes_a_semaphore_that_a_kill_leaves_behind(before):
    """Whoever draws the first one; others than camcli keep tqdm's own lock."""
    code = f"{before}; from tqdm import tqdm; print(type(tqdm.get_lock()).__name__)"
    said = [
        subprocess.run([sys.executable, "-c", each], capture_output=True, text=True, check=True)
        for each in (code, code.replace(before, "import camcli"))
    ]
    assert [one.stdout.strip() for one in said] == ["RLock", "TqdmDefaultWriteLock"]
