"""A data set after the marks of a page: what ``camcli apply`` is asked, and how it is done."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.data.marked.result import ApplyResult
from camcli.errors import CamcliError, UsageError
from camcli.files import folder_aside, identity, why
from camcli.ours import KIND, check_writable, files_of, read_record, unlisted
from camcli.printable import counted, printable, some
from camcli.settings import Settings
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.data.marked.decide import Decided
    from camcli.data.marked.marks_file import MarksFile
    from camcli.data.marked.places import Placed

VERB = "apply"
TABLE, LIST = ".csv", ".txt"
# What looks like a file of another kind; a folder may be called anything else.
_NO_FOLDER = (".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".xls", ".ods", ".html", ".zip",
              ".tar", ".tgz", ".gz")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApplyJob(Settings):
    """Marks that are to be applied.

    Attributes:
        marks: the file that the page exported.
        to: a folder for a copy, or FILE.csv for a table, FILE.txt for a list of paths.
        data: the data set; None for the photographs that the marks are about.
        labels: where its labels come from, as for ``camcli train``.
        move: move the originals into the folder, and do not copy them.
        undo: move them back.
        overwrite: replace an earlier result there.
    """

    marks: Path = Path("marks.csv")
    to: Path = Path("clean")
    data: str | None = None
    labels: str = "auto"
    move: bool = False
    undo: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what cannot be meant, before any photograph is looked for.

        Raises:
            UsageError: options that exclude each other, a place that may not be written to, or a
                file of marks that says what nobody can do.
            CamcliError: nothing can be written there.
        """
        if self.undo:  # needs no marks: what moved is written down
            self._check_place()
        else:
            self._read()

    def run(self, listener: Listener | None = None) -> ApplyResult:
        """Write the data set; the originals stay as they are, unless they are to be moved.

        Args:
            listener: hears what is going on; by default the log does.

        Raises:
            UsageError: as `check` does; marks of what the data set does not hold; or a data set
                that would not be read as it is meant.
            UnavailableError: a named data set is not on this machine.
            CamcliError: a file that cannot be read or written; nothing was changed.
        """
        from camcli.data.marked.decide import data_of, decide
        from camcli.data.marked.result import about_new

        listener = listener or LogListener()
        if self.undo:
            self._check_place()
            return self._undo(listener)
        marks = self._read()
        if self.move and (done := self._resumed(marks, listener)):
            return done
        data = data_of(marks, self.data)
        if self.data is None:
            listener.say(f"The marks are about {printable(data)}.")
        with listener.slow(f"Looking for photographs in {data} ..."):
            decided = decide(marks, data, labels=self.labels, known_as=_known_as)
        for note in decided.notes:
            listener.say(note)
        for told in about_new(decided):
            listener.warn(told)
        if new := decided.new_classes:
            listener.say(f"{'New class' if len(new) == 1 else 'New classes'}: {some(new)}.")
        self._check_apart(decided)
        record = self._record(marks, decided)
        renamed: tuple[str, ...] = ()
        if self.kind == "folder":
            found, unlabelled = self._placed(decided)
            renamed = tuple(each.to for each in found if each.renamed)
            problems = self._folder(found, decided, record, listener)
            count = len(found)
        else:
            from camcli.data.marked.written import write_list, write_table

            with listener.slow(f"Writing {self.to} ..."):
                write = write_table if self.kind == "table" else write_list
                problems = write(self.to, decided)
            kept = decided.labelled if self.kind == "table" else decided.photos
            count, unlabelled = len(kept), len(decided.photos) - len(kept)
        for problem in problems:
            listener.warn(f"'camcli train' would not take it as it is: {problem}")
        result = ApplyResult(
            self.to, count, decided.classes, len(decided.dropped), len(decided.relabelled),
            unlabelled, renamed, decided.new_classes, self._command(decided),
        )  # fmt: skip
        self._tell(result, marks, listener)
        return result

    @property
    def kind(self) -> str:
        """What is made: ``folder``, ``table`` or ``list``."""
        return {TABLE: "table", LIST: "list"}.get(self.to.suffix.lower(), "folder")

    def _read(self) -> MarksFile:
        from camcli.data.marked.marks_file import read_marks

        self._check_place()
        return read_marks(self.marks)

    def _check_place(self) -> None:
        """Refuse options that exclude each other, and a place that may not be written to."""
        moves = self.move or self.undo
        if moves and self.kind != "folder":
            raise UsageError(
                f"--move is for folders; {self.to} is a {self.kind}, which moves none."
            )
        if moves and self.data is None:
            raise UsageError(
                "--move and --undo change where originals lie, and a file of marks may come from "
                "anybody: name the data set with --data DIR."
            )
        if self.move and self.undo:
            raise UsageError("--move moves originals there, and --undo back: give one of them.")
        if moves and self.overwrite:
            raise UsageError("--move takes a new folder: leave --overwrite out.")
        if self.kind == "folder" and self.to.suffix.lower() in _NO_FOLDER:
            raise UsageError(
                f"--to {self.to}: {self.to.suffix} files are not made; name a folder, FILE.csv or "
                "FILE.txt."
            )
        if self.kind == "folder":
            self._check_folder()
        else:
            self._check_file()

    def _check_file(self) -> None:
        """Refuse to replace a file unasked, and the marks themselves also when asked."""
        to = self.to
        read = [str(self.marks), *([self.data.removeprefix("@")] if self.data else [])]
        same = {identity(path) for path in read}
        if os.path.lexists(to) and identity(os.fspath(to)) in same - {None}:
            raise UsageError(f"{to} is read, and so not written over: choose another --to.")
        if to.is_dir() or not to.absolute().parent.is_dir():
            raise UsageError(f"--to {to}: name a file in a folder that exists.")
        if os.path.lexists(to) and not self.overwrite:
            raise UsageError(f"{to} exists. Add --overwrite, or choose another --to.")

    def _check_folder(self) -> None:
        """Refuse a folder that holds anything else than an earlier copy that may be replaced."""
        from camcli.data.marked.moving import read_moves
        from camcli.data.marked.written import RECORD

        try:
            check_writable(self.to)
        except CamcliError as error:
            raise type(error)(str(error).replace("--out", "--to")) from error
        if self.undo or not self.to.is_dir() or not any(self.to.iterdir()):
            return
        if read_moves(self.to) is not None:
            if self.move:
                return
            raise UsageError(
                f"{self.to} holds originals that were moved there, so it will not be replaced: "
                "choose another --to, or move them back with --undo."
            )
        known = files_of(read_record(self.to / RECORD), VERB, older=("",))
        foreign = unlisted(self.to, known) if known else []
        if not known or foreign:
            raise UsageError(
                f"{self.to} is not empty, and holds what 'camcli apply' did not write"
                + (f" ({some(foreign, 3)})" if foreign else "")
                + ", so it will not be touched. Choose another --to."
            )
        if not self.overwrite:
            raise UsageError(f"{self.to} exists. Add --overwrite, or choose another --to.")

    def _check_apart(self, decided: Decided) -> None:
        """Refuse a result that lies among the photographs, or that they lie in.

        Raises:
            UsageError: it does.
        """
        to = os.path.realpath(self.to)
        if self.kind != "folder":
            if any(os.path.realpath(photo.ref.path) == to for photo in decided.photos):
                raise UsageError(f"{self.to} is one of the photographs: choose another --to.")
            return
        root = os.path.realpath(decided.place.root)
        root = root if os.path.isdir(root) else os.path.dirname(root)  # noqa: PTH112, PTH120
        below = to == root or to.startswith(root.rstrip(os.sep) + os.sep)
        folders = {os.path.realpath(photo.ref.path.parent) for photo in decided.photos}
        above = any(each == to or each.startswith(to + os.sep) for each in folders)
        if above or (below and os.path.isdir(decided.place.root)):  # noqa: PTH112
            raise UsageError(
                f"{self.to} and the photographs of {decided.place} lie in each other, so the next "
                "look at them would find both: choose another --to."
            )

    def _placed(self, decided: Decided) -> tuple[list[Placed], int]:
        from camcli.batch.run_files.disk_names import DiskNames, folded, mark
        from camcli.data.marked.places import check_classes, placed
        from camcli.data.marked.written import check_there

        above = next(path for path in self.to.absolute().parents if path.exists())
        try:
            disk = DiskNames.of(above, self.to)
        except OSError as error:
            raise CamcliError(f"Cannot write {self.to}: {why(error)}.") from error
        found, unlabelled = placed(
            decided, name=disk.name, key=folded if disk.folds else str, mark=mark
        )
        there = {each.photo.ref.label for each in found if each.photo.relabelled}
        check_classes(found, [label for label in there if label is not None])
        check_there(found)
        return found, unlabelled

    def _folder(
        self,
        found: Sequence[Placed],
        decided: Decided,
        record: dict[str, Any],
        listener: Listener,
    ) -> list[str]:
        from camcli.data.marked.written import write_folder

        if self.move:
            return self._move(found, decided, record, listener)
        with listener.bar("copy", len(found), "photograph") as bar:
            return write_folder(self.to, found, decided, record, lambda: bar.advance(1))

    def _move(
        self, found: Sequence[Placed], decided: Decided, record: dict[str, Any], listener: Listener
    ) -> list[str]:
        """Move the originals, after the tree was tried with empty files beside it."""
        from camcli.data.marked.moving import begin, check_movable, finish
        from camcli.data.marked.written import check_tree

        root = decided.place.root
        if not decided.place.is_folder:
            raise UsageError(
                f"--move takes photographs that are files of a folder, and {decided.place} is "
                "none: leave it out, and they are copied."
            )
        check_movable(self.to, root, found)
        above = next(path for path in self.to.absolute().parents if path.exists())
        try:
            with folder_aside(above / self.to.name) as part:
                problems = check_tree(part, self.to, found, decided)
            begin(self.to, found, record)
        except OSError as error:
            raise CamcliError(
                f"Cannot write {self.to}: {why(error)}. Nothing was moved."
            ) from error
        with self._goes_on(listener), listener.bar("move", len(found), "photograph") as bar:
            finish(self.to, root, lambda: bar.advance(1))
        return problems

    def _resumed(self, marks: MarksFile, listener: Listener) -> ApplyResult | None:
        """Go on with moves that were interrupted; None where there are none."""
        from camcli.data.marked.moving import MOVING, finish, read_moves

        record = read_moves(self.to)
        if record is None:
            return None
        undo = self._again("--undo")
        if record.get("state") != MOVING:
            done = record.get("state") == "moved"
            what = "was done before" if done else "is being undone"
            raise UsageError(f"This move to {self.to} {what}. To undo it: {undo}")
        if record.get("marks") != marks.digest:
            raise UsageError(
                f"A move to {self.to} was begun with other marks. Undo it first: {undo}"
            )
        assert self.data is not None
        root = Path(self.data)
        listener.say(f"Going on with the move to {self.to}.")
        with self._goes_on(listener), listener.bar("move", None, "photograph") as bar:
            count = finish(self.to, root, lambda: bar.advance(1))
        classes = record.get("classes")
        names = tuple(str(name) for name in classes) if isinstance(classes, list) else ()
        numbers = [record.get(key) for key in ("dropped", "relabelled")]
        dropped, relabelled = (n if isinstance(n, int) else 0 for n in numbers)
        result = ApplyResult(
            self.to, count, names, dropped, relabelled, command=self._command(None)
        )
        listener.say(f"Moved {result.summary}. To undo it: {undo}")
        if classes:
            listener.say(f"Next: {result.command}")
        return result

    def _undo(self, listener: Listener) -> ApplyResult:
        from camcli.data.marked.moving import undo

        assert self.data is not None
        if not self.to.is_dir():
            raise UsageError(f"There is nothing to undo: {self.to} is no folder.")
        with listener.bar("undo", None, "photograph") as bar:
            back = undo(self.to, Path(self.data), lambda: bar.advance(1))
        result = ApplyResult(None, back)
        listener.say(f"{result.summary} to {self.data}.")
        return result

    @contextmanager
    def _goes_on(self, listener: Listener) -> Iterator[None]:
        """Say how to go on, where a person stops the moves."""
        try:
            yield
        except KeyboardInterrupt:
            listener.warn(
                "Some photographs have moved. The same command goes on; to bring them back: "
                + self._again("--undo")
            )
            raise

    def _again(self, option: str) -> str:
        words = ["camcli", VERB, self.marks, "--data", self.data or "", "--to", self.to, option]
        return " ".join(shlex.quote(str(word)) for word in words)

    def _record(self, marks: MarksFile, decided: Decided) -> dict[str, Any]:
        from camcli import __version__

        return {
            KIND: VERB,
            "camcli": __version__,
            "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "source": os.path.realpath(decided.place.root),
            "labels": self.labels,
            "marks": marks.digest,
            "photographs": len(decided.photos),
            "dropped": len(decided.dropped),
            "relabelled": len(decided.relabelled),
            "classes": decided.classes,
        }

    def _command(self, decided: Decided | None) -> str:
        """What trains on the result; empty where nothing has a label."""
        if decided is not None and not decided.labelled:
            return ""
        words = ["camcli", "train", "--data", os.fspath(self.to)]
        if self.kind == "list" and self.labels != "auto":
            words += ["--labels", self.labels]
        return " ".join(shlex.quote(word) for word in words)

    def _tell(self, result: ApplyResult, marks: MarksFile, listener: Listener) -> None:
        from camcli.data.marked.result import about

        for line in about(result, marks, moved=self.move):
            listener.say(line)
        if result.unlabelled:
            listener.warn(
                f"Left out, as they have no label: {counted(result.unlabelled, 'photograph')}."
            )
        if self.move:
            listener.say(f"To undo it: {self._again('--undo')}")
        if result.command:
            listener.say(f"Next: {result.command}")


def _known_as(label: str, classes: Sequence[str]) -> str:
    """What a data set calls a class that the page calls by its name: ``n02123045`` is tabby."""
    if label in classes:
        return label
    from camcli.models.classes.imagenet import imagenet_classes, wnid_index

    known = {wnid: wnid_index(wnid) for wnid in classes}
    if classes and all(index is not None for index in known.values()):
        names = imagenet_classes()
        return next((w for w, index in known.items() if names[index or 0] == label), label)
    return label
