"""The house: a room imports the rooms to its right, and so do the rooms within a room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CAMCLI = ROOT / "camcli"

# A room may import the rooms to its right, never those to its left.
ROOMS = ["cli", "jobs", "evaluate", "train", "batch", "render", "cam", "models", "data", "net"]

# The same within a room; what is not a folder is a file.
WITHIN = {
    "cli": "app commands load_model train_options learning_options options torchrun "
    "checked_command completion short_help value_names terminal",
    "jobs": "apply check audit evaluate networks calibration "
    "flags report train explain batch learnt beside concepts layers "
    "inspect maps presets photographs model against reference_copies output_paths record",
    "evaluate": "check comparison audit proof marks properties matching findings metrics measured",
    "evaluate/comparison": "result turn measuring rows questions",
    "train": "run search steps judged_run localizer result member judging live prepare run_folder "
    "fitting feature_pass dataset backbones config_file config ranges processes progress torchrun",
    "batch": "processes ray contact_sheet run results concepts first_images engine references "
    "batch_size "
    "folder_order explain features differences explanation lanes overlay_writer run_files summary "
    "tables contact_grid",
    "models": "forms runtime load reference classifier loading localizer programs recognition "
    "cutting pooling outputs label_metrics spec weights classes cuda",
    "render/report": "compare build parts settings page rows templates",
    "data": "marked datasets synthetic decode sources picture_formats samples",
}


def imported(path: Path) -> Iterator[str]:
    """Every module of camcli that `path` imports, also inside functions and for types."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "camcli")


def within(path: Path, room: str) -> str:
    """The room within a room that `path` is in, or the file's own name."""
    return path.relative_to(CAMCLI / room).with_suffix("").parts[0]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room):
    for path in (CAMCLI / room).rglob("*.py"):
        for name in imported(path):
            other = [*name.split("."), ""][1]
            if other in ROOMS:
                assert ROOMS.index(other) >= ROOMS.index(room), f"{path} imports {name}"


@pytest.mark.parametrize("room", WITHIN)
def test_imports_point_one_way_within_a_room(room):
    order = WITHIN[room].split()
    found = {p.stem if p.is_file() else p.name for p in (CAMCLI / room).iterdir()}
    assert found - {"__init__", "__pycache__"} == set(order), "a file or folder without its place"
    for path in (CAMCLI / room).rglob("*.py"):
        here = within(path, room)
        for name in imported(path):
            other = name.removeprefix(f"camcli.{room.replace('/', '.')}.").split(".")[0]
            if here != "__init__" and other in order:
                assert order.index(other) >= order.index(here), f"{path} imports {name}"


def modules() -> dict[str, Path]:
    return {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in CAMCLI.rglob("*.py")
    }


def test_no_two_files_import_each_other():
    files = modules()
    arrows = {
        name: {other for other in imported(path) if other in files and other != name}
        for name, path in files.items()
    }
    for name, others in arrows.items():
        for other in others:
            packages = "__init__.py" in {files[name].name, files[other].name}  # they re-export
            assert packages or name not in arrows[other], f"{name} and {other} import each other"


@pytest.mark.parametrize(
    "folder", sorted({p.parent for p in CAMCLI.rglob("*.py")} - {CAMCLI}), ids=lambda p: p.name
)
def test_each_folder_says_what_enters_what_leaves_and_where_to_begin(folder):
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    for words in ("In: ", "Out: ", "Open first:"):
        assert words in doc, f"{folder}/__init__.py does not say {words!r}"


def type_names(path: Path) -> Iterator[str]:
    """The classes and aliases of types that a file gives to others."""
    for node in ast.parse(path.read_text("utf-8")).body:
        for each in node.body if isinstance(node, ast.If) else [node]:  # TYPE_CHECKING
            if isinstance(each, ast.ClassDef):
                name = each.name
            elif isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                name = each.targets[0].id
            else:
                continue
            if name[0].isupper() and not name.isupper():
                yield name


def test_a_type_name_has_one_meaning():
    homes: dict[str, set[Path]] = {}
    for path in CAMCLI.rglob("*.py"):
        for name in type_names(path):
            homes.setdefault(name, set()).add(path.relative_to(CAMCLI))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
