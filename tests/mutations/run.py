"""Do the tests notice? Breaks camcli in many small ways, each in a copy, and runs the tests on it.

    python tests/mutations/run.py                    all mutants; takes some minutes
    python tests/mutations/run.py heat ece           those with one of these words in their name
    python tests/mutations/run.py --check            only whether each still finds its place
    python tests/mutations/run.py --wide             survivors also face every quick test

Mutants are in the ``*.toml`` files beside this one, one table each:

    [[mutant]]
    name = "what is wrong with it"
    old = '''a piece of code'''           # once in camcli/, wherever that is: files may move
    new = '''what takes its place'''
    tests = ["test_rows.py"]             # files or patterns below tests/, by name: they may move
    file = "journal.py"                  # if several files hold the piece: the end of one's path
    equivalent = "why nothing differs"   # no test can see it; listed, and not run

The checkout is never touched. A mutant is killed if a test fails or takes too long; whatever
survives is printed, and the exit code is 1. Third-party packages are imported once and forked, so
this needs a POSIX system.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 240
"""Seconds that the tests of one mutant may take: some mutants never end."""
_COPIED = ("camcli", "tests", "configs", "sample_images", "docs", "pyproject.toml", "README.md")
_HEAVY = (
    "numpy", "torch", "torchvision.transforms.v2", "timm", "cv2", "PIL.Image", "pytest",
    "hypothesis", "sklearn.metrics", "scipy.stats", "openvino", "typer.testing", "rich.progress",
)  # fmt: skip
_NOTHING_RAN = (4, 5)  # pytest's exit codes for a wrong call, and for no test at all


@dataclass(slots=True)
class Mutant:
    """One small mistake, see the module."""

    name: str
    old: str
    new: str
    tests: list[str]
    file: str = ""
    equivalent: str = ""
    where: str = field(init=False, default="")

    def place(self, root: Path) -> Path:
        """The file that holds `old`.

        Raises:
            LookupError: none, or several, or more than once.
        """
        found = []
        for path in sorted((root / "camcli").rglob("*.py")):
            if path.as_posix().endswith(self.file) and (
                n := path.read_text("utf-8").count(self.old)
            ):
                found.append((path, n))
        if len(found) != 1 or found[0][1] != 1:
            places = ", ".join(f"{p.relative_to(root)} x{n}" for p, n in found) or "nowhere"
            raise LookupError(f"{self.name}: {places}")
        self.where = str(found[0][0].relative_to(root))
        return found[0][0]

    def test_files(self, root: Path) -> list[str]:
        """The files of tests that are run.

        Raises:
            LookupError: there is none of one of these names.
        """
        files: dict[str, None] = {}
        for pattern in self.tests:
            found = sorted(str(p.relative_to(root)) for p in (root / "tests").rglob(pattern))
            if not found:
                raise LookupError(f"{self.name}: there is no tests/**/{pattern}")
            files |= dict.fromkeys(found)
        return list(files)


@dataclass(slots=True)
class Job:
    """A process that tests one mutant in one copy of the tree."""

    mutant: Mutant
    copy: Path
    path: Path
    whole: str
    pid: int
    log: Path
    started: float

    def poll(self) -> int | None:
        """Its exit code, -1 where it took too long; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.started < LIMIT:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return -1

    def restore(self) -> None:
        """Mend the copy."""
        self.path.write_text(self.whole, "utf-8")

    def verdict(self, code: int) -> str:
        """The test that failed, or what else came of it; empty where nothing did."""
        if code == 0:
            return ""
        if code == -1:
            return f"more than {LIMIT} s"
        found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", self.log.read_text("utf-8"), re.M)
        return found[1] if found else f"exit code {code}"


def mutants() -> list[Mutant]:
    """All of the ``*.toml`` files."""
    found = []
    for path in sorted(HERE.glob("*.toml")):
        found += [Mutant(**one) for one in tomllib.loads(path.read_text("utf-8"))["mutant"]]
    names = [mutant.name for mutant in found]
    assert len(set(names)) == len(names), "two mutants have one name"
    return found


def copied(folder: Path) -> Path:
    """A copy of what the tests need."""
    folder.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, folder / name)
    return folder


def forked(copy: Path, tests: list[str], log: Path) -> int:
    """Run pytest on the copy in a process of its own, and return its number at once."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)
        import pytest

        code = int(
            pytest.main(
                [*tests, "-x", "-q", "-rfE", "--tb=no", "-m", "not slow", "--hypothesis-seed=0",
                 "-p", "no:cacheprovider", "--basetemp", str(copy / "basetemp")]
            )
        )  # fmt: skip
        sys.stdout.flush()
    finally:
        os._exit(code)


def run(chosen: list[Mutant], copies: list[Path], folder: Path, wide: bool) -> dict[str, str]:
    """By name, what killed each mutant; empty for survivors."""
    waiting, jobs, found = list(chosen), list[Job](), dict[str, str]()
    free = list(copies)
    while waiting or jobs:
        while waiting and free:
            mutant, copy = waiting.pop(0), free.pop()
            path = mutant.place(copy)
            text = path.read_text("utf-8")
            path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
            log = folder / f"{copy.name}.log"
            tests = ["tests"] if wide else mutant.test_files(copy)
            pid = forked(copy, tests, log)
            jobs.append(Job(mutant, copy, path, text, pid, log, time.monotonic()))
        time.sleep(0.05)
        for job in list(jobs):
            code = job.poll()
            if code is None:
                continue
            jobs.remove(job)
            job.restore()
            free.append(job.copy)
            if code in _NOTHING_RAN:
                raise SystemExit(f"{job.mutant.name}: no tests ran\n{job.log.read_text('utf-8')}")
            killer = found[job.mutant.name] = job.verdict(code)
            took = time.monotonic() - job.started
            state = "killed  " if killer else "SURVIVED"
            print(f"{state} {took:5.1f} s  {job.mutant.name}  [{job.mutant.where}]  {killer}",
                  flush=True)  # fmt: skip
    return found


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only mutants with one of these in their name")
    parser.add_argument("--check", action="store_true", help="only look whether each has its place")
    parser.add_argument("--wide", action="store_true", help="survivors face every quick test")
    parser.add_argument("--no-baseline", action="store_true", help="don't run the tests unbroken")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    every = [m for m in mutants() if not args.words or any(w in m.name for w in args.words)]
    lost: dict[str, str] = {}
    for mutant in every:
        try:
            mutant.place(ROOT)
            mutant.test_files(ROOT)
        except LookupError as error:
            lost[mutant.name] = str(error)
    print("\n".join([f"{len(every)} mutants, {len(lost)} without their place", *lost.values()]))
    if args.check:
        return 1 if lost else 0
    sys.dont_write_bytecode = True  # a mutant of the same size and second would not be compiled
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ.setdefault("CAMCLI_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    for name in _HEAVY:
        with contextlib.suppress(ImportError):
            __import__(name)
    sys.modules["torch"].set_num_threads(1)
    chosen = [mutant for mutant in every if not mutant.equivalent and mutant.name not in lost]
    with tempfile.TemporaryDirectory(prefix="camcli-mutants-") as name:
        folder = Path(name)
        copies = [copied(folder / f"copy{n}") for n in range(max(1, args.jobs))]
        if not args.no_baseline:
            tests = sorted({test for mutant in chosen for test in mutant.test_files(ROOT)})
            log = folder / "baseline.log"
            if os.waitstatus_to_exitcode(os.waitpid(forked(copies[0], tests, log), 0)[1]):
                print(f"The tests fail without a mutant:\n{log.read_text('utf-8')}")
                return 2
        found = run(chosen, copies, folder, wide=False)
        survivors = [mutant for mutant in chosen if not found[mutant.name]]
        if args.wide and survivors:
            found |= run(survivors, copies, folder, wide=True)
            survivors = [mutant for mutant in survivors if not found[mutant.name]]
    for mutant in every:
        if mutant.equivalent:
            print(f"EQUIVALENT       {mutant.name}  [{mutant.where}]  {mutant.equivalent}")
    print(f"\n{len(chosen)} mutants run, {len(chosen) - len(survivors)} killed, "
          f"{len(survivors)} survived, {sum(bool(m.equivalent) for m in every)} equivalent, "
          f"{len(lost)} without their place")  # fmt: skip
    for mutant in survivors:
        print(f"  {mutant.name}  [{mutant.where}]")
    return 1 if survivors or lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
