"""Windows and macOS, simulated: paths, lists, pipes, signals, encodings, a device."""

from __future__ import annotations

import ast
import errno
import io
import locale
import ntpath
import os
import posixpath
import re
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
import torch
from torch import nn

from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables import appending
from camcli.batch.tables.journal import Journal
from camcli.cam.methods import METHODS, heatmaps
from camcli.cli.terminal import console, streams
from camcli.data.sources import finders, lists
from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.refs import is_url
from camcli.errors import CamcliError, UsageError
from camcli.files import extended, open_regular, why
from camcli.models.cutting.cut import LinearHead

posix = pytest.mark.skipif(sys.platform == "win32", reason="simulates Windows on another system")


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["s3://bucket/run", "gs://b", "https://there/x"])
def test_a_run_s_folder_is_no_url_however_a_path_writes_it(url):
    for text in (url, str(PureWindowsPath(url)), str(Path(url))):
        with pytest.raises(UsageError, match="not a URL"):
            RunDirectory(Path(text))


@pytest.mark.parametrize("text", [r"C:\run", "C:/run", "C:run", r"\\server\share\run", "run"])
def test_a_drive_is_no_url(text):
    assert not is_url(text)
    assert not is_url(text.replace(":/", "://"))
    RunDirectory(Path(text))


class WindowsPaths:
    """`os` as the lists see it, with Windows' paths."""

    path, sep = ntpath, "\\"

    def __getattr__(self, name):
        return getattr(os, name)


@pytest.mark.parametrize("system", [os, WindowsPaths()], ids=["posix", "windows"])
@pytest.mark.parametrize(
    ("one", "other", "root"),
    [
        ("s3://b/x/1", "s3://b/x/2", "s3://b/x"),
        ("s3://b/x", "s3://c/x", ""),
        ("s3://b/x", "gs://b/x", ""),
    ],
)
def test_urls_have_one_folder_on_every_system(monkeypatch, system, one, other, root):
    monkeypatch.setattr(lists, "os", system)
    assert lists.common(one, other) == root
    if root:
        assert lists.relative(f"{one}/a.jpg", root) == posixpath.relpath(f"{one}/a.jpg", root)
    assert lists.common(one, "/folder") == ""


def test_windows_paths_become_relative_ones(monkeypatch):
    monkeypatch.setattr(lists, "os", WindowsPaths())
    assert lists.common(r"C:\photos\a", r"c:\Photos\b").lower() == r"c:\photos"
    assert lists.common(r"C:\photos", r"D:\photos") == ""
    assert lists.relative(r"C:\photos\a\x.jpg", r"C:\photos") == "a/x.jpg"
    assert lists.relative(r"C:\photos\x.jpg", "") == "C/photos/x.jpg"
    assert lists.relative(r"\\server\share\x.jpg", "") == "server/share/x.jpg"
    assert lists.relative("s3://b/x.jpg", "") == "s3/b/x.jpg"


@posix
def test_a_list_in_the_machine_s_language_is_read_on_windows(monkeypatch, tmp_path):
    def strict(data):  # as os.fsdecode there, which does not keep bytes that are no UTF-8
        return data.decode("utf-8", "surrogatepass")

    monkeypatch.setattr(lists.os, "fsdecode", strict)
    monkeypatch.setattr(locale, "getencoding", lambda: "cp1252")
    text = tmp_path / "list.txt"
    text.write_bytes("/a/Zürich.jpg\r\n".encode("cp1252") + "/a/Genève.jpg\r\n".encode())
    found = [Path(path).name for path, _ in lists.PathList.from_file(str(text))]
    assert found == ["Zürich.jpg", "Genève.jpg"]


@posix
def test_a_glob_means_either_case_on_windows_only(monkeypatch, tmp_path):
    for name in ("a.jpg", "B.JPG", "c.png"):
        (tmp_path / name).touch()

    def found():
        return [rel for _, rel in finders.Glob.parse(str(tmp_path / "*.jpg")).walk(LeftOut())]

    assert found() == ["a.jpg"]
    monkeypatch.setattr(sys, "platform", "win32")
    assert found() == ["B.JPG", "a.jpg"]


@posix
def test_long_paths_are_written_in_windows_long_form(monkeypatch):
    long = "/" + "x" * 300
    assert extended(long) == long
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os.path, "abspath", lambda text: text)
    assert extended("C:\\short") == "C:\\short"
    assert extended("C:\\" + "x" * 300) == "\\\\?\\C:\\" + "x" * 300
    assert extended("\\\\server\\share\\" + "x" * 300) == "\\\\?\\UNC\\server\\share\\" + "x" * 300
    assert extended("\\\\?\\C:\\" + "x" * 300) == "\\\\?\\C:\\" + "x" * 300
    with pytest.raises(OSError) as told:  # noqa: PT011
        open_regular("C:\\" + "x" * 200 + "\\" + "y" * 100)
    assert str(told.value.filename).startswith("\\\\?\\C:")


# -- files that others have open, and disks that count nothing ------------------------------------


@posix
def test_a_table_that_excel_has_open_is_told(monkeypatch, tmp_path):
    class Locked(type(tmp_path)):
        def open(self, *args, **kwargs):
            raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(CamcliError, match="open in another program"):
        Journal(Locked(tmp_path / "predictions.csv"), ["path"])
    assert "another program" not in why(OSError(errno.ENOSPC, "No space left"))


def test_a_disk_that_counts_no_names_is_no_removed_file(monkeypatch, tmp_path):
    real = os.fstat

    class Status:
        def __init__(self, of):
            self._of = of
            self.st_nlink = 0

        def __getattr__(self, name):
            return getattr(self._of, name)

    monkeypatch.setattr(appending.os, "fstat", lambda number: Status(real(number)))
    with Journal(tmp_path / "a.csv", ["path"]) as journal:
        journal.append({"path": "x.jpg"})
    assert (tmp_path / "a.csv").read_text().split() == ["path", "x.jpg"]


@posix
def test_a_removed_table_is_still_told(tmp_path):
    with Journal(tmp_path / "a.csv", ["path"]) as journal:
        (tmp_path / "a.csv").unlink()
        with pytest.raises(CamcliError, match="removed"):
            journal.append({"path": "x.jpg"})


# -- streams and signals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "number", "kind"),
    [
        ("linux", errno.EPIPE, streams.ReaderGoneError),
        ("win32", errno.EINVAL, streams.ReaderGoneError),
        ("win32", errno.EPIPE, streams.ReaderGoneError),
        ("linux", errno.EINVAL, streams.UnwritableError),
        ("win32", errno.ENOSPC, streams.UnwritableError),
    ],
)
def test_a_reader_that_left_is_known_on_every_system(monkeypatch, platform, number, kind):
    monkeypatch.setattr(streams, "silence", lambda which: None)
    monkeypatch.setattr(sys, "platform", platform)
    assert isinstance(streams._told(OSError(number, "x")), kind)


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp932", "mac_roman"])
@pytest.mark.parametrize("text", ["╭─ é ✓ ✗ ━━ ■ × 漢字 → ≥ …", "caf\udce9.jpg"])
def test_every_code_page_takes_every_text(encoding, text):
    raw = io.BytesIO()
    out = streams._Output(raw, encoding=encoding, errors="strict")
    streams.tolerated("", encoding)
    out.reconfigure(errors="camcli.tolerant")
    out.write(text)
    out.flush()
    assert raw.getvalue()
    assert "\ufffd" not in raw.getvalue().decode(encoding, "replace") or "\udce9" in text


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["batch", "--help"], ["methods"], ["models"]])
def test_commands_print_in_a_code_page(words):
    done = subprocess.run(
        [sys.executable, "-m", "camcli", *words], capture_output=True, check=False,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "COLUMNS": "100"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("cp1252")
    assert len(text) > 300
    assert "\\u2502" not in text, "a table's lines are escapes"


@posix
class TestSignals:
    @pytest.fixture(autouse=True)
    def not_under_nohup(self):
        """Whoever runs the tests under nohup has SIGHUP ignored, and camcli respects that."""
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        yield
        signal.signal(signal.SIGHUP, before)

    def test_a_closed_terminal_ends_as_a_kill_does(self):
        before = signal.getsignal(signal.SIGHUP)
        with pytest.raises(console.Terminated), console._sigterm_raises():  # noqa: PT012
            os.kill(os.getpid(), signal.SIGHUP)
            signal.pause()
        assert signal.getsignal(signal.SIGHUP) == before

    def test_nohup_keeps_its_word(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with console._sigterm_raises(), console.stops_gently(lambda: pytest.fail("asked")):
                os.kill(os.getpid(), signal.SIGHUP)
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_a_run_stops_gently(self):
        asked = []
        before = signal.getsignal(signal.SIGHUP)
        gently = console.stops_gently(lambda: asked.append(1))
        with pytest.raises(console.Terminated), gently:  # noqa: PT012
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked == [1]
        assert signal.getsignal(signal.SIGHUP) == before

    def test_windows_has_ctrl_break_and_no_hang_up(self, monkeypatch):
        monkeypatch.delattr(signal, "SIGHUP")
        monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
        assert console._ending() == [signal.SIGTERM, signal.SIGUSR1]


@posix
@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd here")
def test_an_empty_substitution_on_macos_does_not_wait(monkeypatch):
    """``@<(true)``: there /dev/fd/63 is a file that exists, and not a link to nowhere."""
    real = os.path.realpath
    monkeypatch.setattr(
        lists.os.path, "realpath",
        lambda path: path if str(path).startswith("/dev/fd/") else real(path),
    )  # fmt: skip
    monkeypatch.setattr(lists, "_PIPE_SECONDS", 0.3)
    ends = os.pipe()
    os.close(ends[1])
    try:
        found = lists.PathList.from_file(f"/dev/fd/{ends[0]}")
        assert list(found) == []
    finally:
        os.close(ends[0])


# -- a device without float64 -----------------------------------------------------------------


class OnMps(torch.Tensor):
    """A tensor on a device as Apple's: no float64, and no NumPy before it is moved to the CPU."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "cpu" or (name == "to" and "cpu" in map(str, args[1:])):
            return args[0].as_subclass(torch.Tensor)
        if name == "numpy":
            raise TypeError("can't convert mps:0 device type tensor to numpy")
        found = super().__torch_function__(func, types, args, kwargs)
        if isinstance(found, OnMps) and found.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return found


def test_the_stand_in_refuses_what_the_device_refuses():
    x = torch.ones(2).as_subclass(OnMps)
    for wrong in (lambda: x.double(), lambda: x.numpy(), lambda: (x + 1).to(torch.float64)):
        with pytest.raises(TypeError):
            wrong()
    assert (x * 2).cpu().double().numpy().tolist() == [2, 2]


def test_scores_of_a_device_without_float64_are_counted():
    from camcli.train.fitting.head import FeatureScale
    from camcli.train.run_folder.metrics import score

    logits, truth = torch.randn(12, 3), torch.arange(12) % 3
    names = ("a", "b", "c")
    on_device = score(logits.as_subclass(OnMps), truth.as_subclass(OnMps), names)
    on_cpu = score(logits, truth, names)
    assert (on_device.top1, on_device.count) == (on_cpu.top1, on_cpu.count)
    assert repr(on_device) == repr(on_cpu)
    scale = FeatureScale.of(logits.as_subclass(OnMps))
    assert scale.unit == FeatureScale.of(logits).unit


def test_concepts_of_a_device_without_float64_are_found():
    from camcli.cam.concepts import factorise

    A = torch.rand(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    found = factorise([A.as_subclass(OnMps)], 2)
    assert found.explained == pytest.approx(factorise([A], 2).explained, abs=1e-6)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if not m.attention])
def test_every_method_runs_on_a_device_without_float64(name, linear):
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(4, 6, generator=generator), torch.zeros(4)
    stem = torch.randn(6, 3, generator=generator)

    def features(images):
        small = nn.functional.avg_pool2d(images, 4)
        return torch.einsum("kc,bchw->bkhw", stem, small).clamp(min=0)

    def tail(A):
        return A.mean((2, 3)) @ weight.T + bias

    def see(images):
        A = features(images)
        return tail(A), A, tail

    def maps(images):
        A = features(images)
        return heatmaps(
            METHODS[name], A, tail(A), torch.tensor([1, 2]), tail=tail, images=images, see=see,
            head=LinearHead(weight, bias) if linear else None,
            forward=lambda each: tail(features(each)),
        )  # fmt: skip

    images = torch.rand(2, 3, 16, 16, generator=generator)
    if METHODS[name].name == "cam" and not linear:
        pytest.skip("it needs a linear head")
    torch.testing.assert_close(
        maps(images.as_subclass(OnMps)).cpu(), maps(images), rtol=1e-4, atol=1e-5
    )


def test_on_macos_what_the_gpu_has_not_runs_on_the_cpu(monkeypatch):
    import importlib

    import camcli

    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        importlib.reload(camcli)
        assert os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"
    finally:
        os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)


# -- the tests themselves ---------------------------------------------------------------------

_POSIX_ONLY = re.compile(
    r"os\.(mkfifo|fork|geteuid|getuid|setsid|killpg)\b|SIG(KILL|STOP|HUP|ALRM|PROF)\b"
    r"|AF_UNIX|/dev/fd/|\bimport (resource|fcntl)\b"
)
_SAID = re.compile(r"posix|skipif|win32|hasattr|importorskip")


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.rglob("test_*.py")), ids=lambda path: path.stem
)
def test_tests_that_windows_cannot_run_say_so(path):
    lines = path.read_text("utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    if any("pytestmark" in line and "win32" in line for line in lines):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            text = "\n".join(lines[first - 1 : node.end_lineno])
            if _POSIX_ONLY.search(text):
                assert _SAID.search(text), f"{path.name}: {node.name} needs @pytest.mark.posix"
    # What is read when a module is imported ends the whole module.
    for node in tree.body:
        if isinstance(node, ast.Import):
            assert not {a.name for a in node.names} & {"fcntl", "resource"}, path
        for decorator in getattr(node, "decorator_list", []):
            assert not re.search(r"\bos\.(geteuid|getuid|mkfifo)\(", ast.unparse(decorator)), path


# -- names of classes -------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_a_class_is_one_however_a_system_writes_its_letters(form, other):
    from camcli.models.classes.label_index import label_index
    from camcli.models.classes.named_class import match_class

    names = [unicodedata.normalize(form, name) for name in ("Café au lait", "Müsli", "Mäuse_1")]
    labels = [unicodedata.normalize(other, name) for name in ("Müsli", "café au lait", "Mäuse 1")]
    assert [label_index(label, tuple(names)) for label in labels] == [1, 0, 2]
    assert [match_class(label, names) for label in labels] == [1, 0, 2]
