"""The reference pages say what the code says: every option, every key, every name, and no other."""

import csv
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bare(text):
    """Its letters and figures alone: what Markdown needs between them does not count."""
    return re.sub(r"[\W_]+", "", text)


def test_every_option_of_every_command_is_there(generate):
    page = generate.commands_page()
    parts = dict(
        re.findall(r"^## camcli ([a-z ]+)\n(.*?)(?=^## |\Z)", page, re.S | re.M),
    )
    found = dict(generate.commands())
    assert set(parts) == set(found)
    for name, command in found.items():
        for param in command.params:
            if param.name in generate.SHARED or param.param_type_name != "option":
                continue
            for option in param.opts:
                assert re.search(rf"`{re.escape(option)}[` ]", parts[name]), f"{name} {option}"
            words = bare(re.sub(r"\[/?(bold|dim)?\]", "", param.help or ""))
            assert words in bare(parts[name].replace("&lt;", "<")), (name, param.name)


def test_choices_ranges_and_defaults_are_said(generate):
    page = generate.commands_page()
    assert "`--fuse mean|max|product`" in page
    topk = page[page.index("`--topk K`") :].split("\n\n")[0]
    assert "1 to 1000" in topk
    assert "default `1`" in topk


def test_the_keys_of_a_training_file_are_the_settings(generate):
    import dataclasses

    from camcli.train.config import TrainConfig

    page = generate.toml_page()
    train = page[page.index("## For `camcli train`") : page.index("## For `camcli evaluate`")]
    keys = {key.replace("-", "_") for key in re.findall(r"^\| `([\w-]+)` \|", train, re.M)}
    assert keys == {field.name for field in dataclasses.fields(TrainConfig)}
    assert "| `split` | `given` or `video` |" in train
    assert "\\|" not in train  # which a page shows as it is


def test_the_keys_of_an_evaluation_are_taken(generate, tmp_path):
    """Each is put into a file: whatever else is wrong then, it is not called unknown."""
    from typer.testing import CliRunner

    from camcli.cli.app import app

    page = generate.toml_page()
    part = page[page.index("## For `camcli evaluate`") : page.index("## The files")]
    keys = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", part, re.M)
    assert {"methods", "boxes", "faithfulness"} <= {key for key, _ in keys}
    lines = {"`true` or `false`": "true"}
    text = "[evaluate]\n" + "".join(
        f"{key} = {lines.get(kind, '1' if kind in {'`N`', '`NUMBER`'} else chr(34) * 2)}\n"
        for key, kind in keys
    )
    assert tomllib.loads(text)
    (tmp_path / "x.toml").write_text(text, "utf-8")
    done = CliRunner().invoke(app, ["evaluate", "nowhere", "--config", str(tmp_path / "x.toml")])
    assert done.exit_code != 0
    assert "unknown" not in done.output.lower()


def test_the_settings_that_come_along_are_shown_whole(generate):
    page = generate.toml_page()
    for path in (ROOT / "configs").glob("*.toml"):
        assert path.read_text("utf-8").strip() in page


def test_every_exported_name_of_python_is_there(generate):
    import camcli

    page = generate.python_page()
    for name in camcli.__all__:
        if name != "__version__":
            part = page[page.index(f"## camcli.{name}\n") :].split("\n## ")[0]
            assert len(part) > 80, f"{name} has no docstring"


def test_every_parameter_of_python_is_described(generate):
    import inspect

    import camcli

    page = generate.python_page()
    for name in camcli.__all__:
        member = getattr(camcli, name)
        if inspect.isfunction(member):
            part = page[page.index(f"## camcli.{name}\n") :].split("\n## ")[0]
            for parameter in inspect.signature(member).parameters:
                assert re.search(rf"`{parameter}`(, `\w+`)*\n:   \S", part), (name, parameter)


def test_defaults_of_python_are_values(generate):
    """A signature says what the default is, not in which record it stands."""
    import inspect

    import camcli

    page = generate.python_page()
    assert not re.search(r"=\s*[A-Z]\w*\.\w", page)
    for name in ("explain", "batch", "evaluate", "train"):
        part = page[page.index(f"## camcli.{name}\n") :].split("```")[1]
        for parameter in inspect.signature(getattr(camcli, name)).parameters.values():
            default = parameter.default
            if isinstance(default, (int, float, str)) and default != "":
                assert re.search(rf"\b{parameter.name}: .*= ?{re.escape(repr(default))}", part), (
                    name, parameter.name,
                )  # fmt: skip


def test_every_method_is_in_the_tables(generate):
    from camcli.cam.listed_facts import LISTED
    from camcli.cam.method_facts import FACTS

    assert set(LISTED) - set(FACTS) == {"auto", "diffcam", "trained-on-boxes"}
    for table in (generate.methods_table(), generate.compatibility_page()):
        for name in LISTED:
            assert f"| `{name}` |" in table
    (row,) = [r for r in generate.methods_table().splitlines() if "`trained-on-boxes`" in r]
    assert "**No explanation.** Needs a checkpoint of train `--boxes`." in row
    (row,) = [r for r in generate.compatibility_page().splitlines() if "| `legrad`" in r]
    assert "any network" not in row


def test_every_runtime_and_format_is_in_the_tables(generate):
    from camcli.data.picture_formats import TABLE
    from camcli.models.runtime.registry import RUNTIMES

    page = generate.compatibility_page()
    for name in RUNTIMES:
        assert f"| `{name}` |" in page
    for each in TABLE:
        assert f"| {each.name} | `{each.extensions}` |" in page


def rows():
    with (ROOT / "docs" / "networks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_family_of_torchvision_is_in_the_table_of_networks():
    from camcli.models.loading.named.catalogue import torchvision_models

    named = {row["network"] for row in rows()}
    for family in {entry.family for entry in torchvision_models()}:
        assert named & {e.name for e in torchvision_models() if e.family == family}, family


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_the_table_of_networks_is_what_one_finds(name, tmp_path, monkeypatch):
    import importlib.util

    import numpy as np
    from PIL import Image

    spec = importlib.util.spec_from_file_location("docs_networks", ROOT / "docs" / "networks.py")
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    (row,) = [row for row in rows() if row["network"] == name]
    assert networks.describe(name, tmp_path / "noise.png") == row


def test_links_of_pages_from_elsewhere_lead_to_pages(generate):
    text = generate.brought("results.md")
    docs = ROOT / "docs"
    known = {*generate.PAGES, *generate.ELSEWHERE}
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert target in known or (docs / target).exists(), target
    assert Path(ROOT, "benchmarks", "RESULTS.md").exists()
