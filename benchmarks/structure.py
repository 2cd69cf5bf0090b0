"""How the house is built: files and lines a folder, the longest functions, imports between rooms.

    python benchmarks/structure.py                 this checkout
    python benchmarks/structure.py OTHER THIS      two checkouts beside each other

A room is a folder of camcli; a sub-room a folder within one. An arrow is one file that imports
another of another sub-room (or, where a room has none, of the same room); a circle is a pair of
files that import each other, also for types alone. Prints Markdown.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class House:
    """What is counted in one checkout."""

    files: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    longest_file: tuple[int, str] = (0, "")
    longest_function: tuple[int, str] = (0, "")
    between: int = 0
    within: Counter[str] = field(default_factory=Counter)
    circles: list[tuple[str, str]] = field(default_factory=list)


def modules(root: Path) -> dict[str, Path]:
    """Every module of camcli under `root`, by its dotted name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / "camcli").rglob("*.py"))
    }


def imported(tree: ast.Module, there: dict[str, Path]) -> Iterator[str]:
    """The modules among `there` that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in there)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for a in node.names:
                name = f"{node.module}.{a.name}"
                if name in there or node.module in there:
                    yield name if name in there else node.module


def measure(root: Path) -> House:
    """Count what is in the checkout at `root`."""
    house, there = House(), modules(root)
    arrows: set[tuple[str, str]] = set()
    for name, path in there.items():
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        count = text.count("\n")
        folder = path.parent.relative_to(root).as_posix()
        house.files[folder] += path.name != "__init__.py"
        house.lines[folder] += count
        house.longest_file = max(house.longest_file, (count, name))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
                # Without the signature and the docstring: what has to be followed.
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body:
                    length = (body[-1].end_lineno or 0) - body[0].lineno + 1
                    longest = max(house.longest_function, (length, f"{name}.{node.name}"))
                    house.longest_function = longest
        if path.name != "__init__.py":
            arrows.update((name, other) for other in imported(tree, there) if other != name)
    for name, other in arrows:
        if "." not in name or "." not in other:
            continue
        room, other_room = name.split(".")[1], other.split(".")[1]
        if not (root / "camcli" / room).is_dir() or not (root / "camcli" / other_room).is_dir():
            continue  # files that all rooms share
        if room != other_room:
            house.between += 1
        elif there[name].parent != there[other].parent or not _has_rooms(root, room):
            house.within[room] += 1
        if (other, name) in arrows and name < other:
            house.circles.append((name, other))
    return house


def _has_rooms(root: Path, room: str) -> bool:
    return any(p.is_dir() and any(p.glob("*.py")) for p in (root / "camcli" / room).iterdir())


def show(names: list[str], houses: list[House]) -> None:
    """Print the counts as Markdown."""
    head = "| " + " | ".join(["", *names]) + " |"
    print(head, "| --- " * (len(names) + 1) + "|", sep="\n")

    def row(what: str, values: list[object]) -> None:
        print("| " + " | ".join([what, *map(str, values)]) + " |")

    row("files", [sum(h.files.values()) for h in houses])
    row("lines", [f"{sum(h.lines.values()):,}" for h in houses])
    row("most files in a folder", ["{1} ({0})".format(*h.files.most_common(1)[0]) for h in houses])
    row("longest file, lines", ["{} (`{}`)".format(*h.longest_file) for h in houses])
    row("longest function body, lines", ["{} (`{}`)".format(*h.longest_function) for h in houses])
    row("imports between rooms", [h.between for h in houses])
    for room in sorted({r for h in houses for r in h.within}):
        row(f"arrows within `{room}`", [h.within[room] for h in houses])
    row("pairs of files that import each other", [len(h.circles) for h in houses])
    print("\n| folder | files | lines |", "| --- | --- | --- |", sep="\n")
    for folder, count in sorted(houses[-1].files.items()):
        print(f"| `{folder}` | {count} | {houses[-1].lines[folder]:,} |")


def main() -> None:
    """Measure each checkout that is named, or this one."""
    roots = [Path(a) for a in sys.argv[1:]] or [Path(__file__).resolve().parent.parent]
    show([root.resolve().name for root in roots], [measure(root) for root in roots])


if __name__ == "__main__":
    main()
