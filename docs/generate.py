"""Writes the reference pages from the code: a hook of MkDocs, and a program.

    python docs/generate.py FOLDER     # writes the pages there, to look at them

What a command takes is read from the command, what a TOML file may say from the settings, what the
Python API is from its docstrings. Nothing here imports torch.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import enum
import importlib
import importlib.util
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# ---------------------------------------------------------------- commands


def commands() -> Iterator[tuple[str, Any]]:
    """Each command that does something, as ``weights fetch``, with its click object."""
    from typer.main import get_command

    from camcli.cli.app import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        children = getattr(command, "commands", None)
        if not children:
            yield " ".join(words), command
        for name, child in (children or {}).items():
            yield from walk(child, (*words, name))

    return walk(get_command(app), ())


def takes(param: Any) -> str:
    """What stands behind an option: ``NUMBER``, ``mean|max|product``, or nothing for a switch."""
    if getattr(param, "is_flag", False) or getattr(param, "is_bool_flag", False):
        return ""
    descriptor = getattr(param, "type_descriptor", None)
    annotation = descriptor.annotation if descriptor else None
    choices = _choices(annotation) or getattr(getattr(param, "type", None), "choices", None)
    if choices:
        return "|".join(str(getattr(each, "value", each)) for each in choices)
    if param.metavar:
        return str(param.metavar)
    if annotation is None:
        name = getattr(getattr(param, "type", None), "name", "text")
        words = {"integer": "N", "float": "NUMBER", "path": "PATH"}
        return next((word for kind, word in words.items() if kind in name), "TEXT")
    inner = [each for each in _alternatives(annotation) if each is not type(None)]
    kind = next(iter(typing.get_args(inner[0])), inner[0]) if inner else str
    return {int: "N", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _choices(annotation: Any) -> list[str]:
    for each in _alternatives(annotation):
        if typing.get_origin(each) is typing.Literal:
            return [str(value) for value in typing.get_args(each)]
        if isinstance(each, type) and issubclass(each, enum.Enum):
            return [str(member.value) for member in each]
    return []


def _range(param: Any) -> str:
    kind = param if hasattr(param, "min") else getattr(param, "type", None)
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f"{least} to {most}"
    if least is not None:
        return f"at least {least}"
    return "" if most is None else f"at most {most}"


def _facts(param: Any) -> str:
    """What else is known of an option: its range, that it may be repeated, its default."""
    facts = [_range(param)] if not getattr(param, "is_flag", False) else []
    if getattr(param, "multiple", False):
        facts.append("may be given more than once")
    default = param.default
    shown = isinstance(default, (int, float, str, enum.Enum)) and not isinstance(default, bool)
    if shown and default != "":
        facts.append(f"default `{getattr(default, 'value', default)}`")
    if getattr(param, "required", False):
        facts.append("required")
    return ", ".join(fact for fact in facts if fact)


def prose(text: str) -> str:
    """A sentence of the help as Markdown: what is code looks like it."""
    text = re.sub(r"(?<!\\)\[/?(?:bold|dim|italic|green|red)?\]", "", text).replace("\\[", "[")
    text = re.sub(r"\s+", " ", text).strip()
    text = text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    text = re.sub(r"``?([^`]+)``?", lambda m: f"`{_raw(m[1])}`", text)
    text = re.sub(r"'(camcli [^']+)'", lambda m: f"`{_raw(m[1])}`", text)
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?![^`]*`[^`]*$)", r"`\1`", text)


def _raw(text: str) -> str:
    return text.replace("&lt;", "<").replace("\\*", "*").replace("\\_", "_")


def _help(text: str) -> str:
    """A command's help: sentences as they are, and its examples as code."""
    out: list[str] = []
    for paragraph in inspect.cleandoc(text or "").replace("\b", "").split("\n\n"):
        lines = [line.strip() for line in paragraph.strip().splitlines() if line.strip()]
        if lines and re.match(r"(camcli|find|for|torchrun) .*", lines[0]) and "camcli" in lines[0]:
            code = "\n".join(lines)
            if out and out[-1].startswith("```"):
                out[-1] = out[-1].removesuffix("\n```") + f"\n{code}\n```"
            else:
                out.append(f"```sh\n{code}\n```")
        elif lines:
            out.append(prose(" ".join(lines)))
    return "\n\n".join(out)


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{(param.metavar or param.name).upper()}`"
    names = sorted(param.opts, key=len, reverse=True) + list(param.secondary_opts or ())
    what = takes(param)
    first = f"`{names[0]} {what}`" if what else f"`{names[0]}`"
    return ", ".join([first, *(f"`{name}`" for name in names[1:])])


SHARED = {"help", "help_all", "install_completion", "show_completion"}


def _command(name: str, command: Any) -> str:
    parts = [f"## camcli {name}", _help(command.help)]
    panels: dict[str, list[Any]] = {}
    for param in command.params:
        if param.name in SHARED:
            continue
        panel = getattr(param, "rich_help_panel", None) or (
            "Arguments" if param.param_type_name == "argument" else "Options"
        )
        panels.setdefault(panel, []).append(param)
    for panel, params in panels.items():
        parts.append(f"**{panel}**")
        for param in params:
            facts = _facts(param)
            text = prose(param.help or "") + (f" *({facts})*" if facts else "")
            parts.append(f"{_names(param)}\n:   {text.strip()}")
    return "\n\n".join(parts)


def commands_page() -> str:
    """The page on which every option of every command stands."""
    head = (
        "# Commands\n\nWritten from the commands themselves. In the terminal, `camcli COMMAND "
        "--help-all` says the same, and `--help` what fits a screen.\n\nExit codes of all: 0 done, "
        "1 failed, 2 wrong usage, 3 done but some images failed, 4 weights or data not available, "
        "130 interrupted, 143 terminated."
    )
    return "\n\n".join([head, *(_command(name, each) for name, each in commands())]) + "\n"


# ---------------------------------------------------------------- TOML


def _settings(command: str, only: Iterable[str] | None = None) -> str:
    params = next(each.params for name, each in commands() if name == command)
    rows = ["| key | value | default | what |", "| --- | --- | --- | --- |"]
    for param in params:
        long = next((opt[2:] for opt in param.opts if opt.startswith("--")), None)
        if long is None or param.name in {*SHARED, "config", "out", "overwrite", "resume"}:
            continue
        if only is not None and long.replace("-", "_") not in only:
            continue
        switch = not takes(param)
        words = ["true", "false"] if switch else takes(param).split("|")
        value = " or ".join(f"`{word}`" for word in words)
        known = param.default if isinstance(param.default, (int, float, str)) else None
        default = "" if known in (None, "") else f"`{json.dumps(known)}`"
        rows.append(f"| `{long}` | {value} | {default} | {prose(param.help or '')} |")
    return "\n".join(rows)


def toml_page() -> str:
    """What a file for ``--config`` may say, and the files that come with camcli."""
    from camcli.train.config import TrainConfig

    own = {field.name for field in dataclasses.fields(TrainConfig)}
    files = [
        f"### configs/{path.name}\n\n```toml\n{path.read_text('utf-8').strip()}\n```"
        for path in sorted((ROOT / "configs").glob("*.toml"))
    ]
    return (
        "\n\n".join(
            [
                "# TOML files",
                "`camcli train --config FILE` and `camcli evaluate --config FILE` take their "
                "options from a file; what stands on the command line wins. A key is an option "
                "without its two dashes. A key that is unknown is refused with the nearest that is "
                "known. Every training writes what it ran with to `config.toml` in its `--out` "
                "folder, which `--config` takes again.",
                "## For `camcli train`",
                _settings("train", own),
                "## For `camcli evaluate`",
                "These stand in a table of their own, `[evaluate]`, so that one file can hold a "
                "whole experiment.",
                _settings("evaluate"),
                "## The files that come along",
                "`camcli data samples` writes them into `configs`.",
                *files,
            ]
        )
        + "\n"
    )


# ---------------------------------------------------------------- Python


@dataclasses.dataclass(frozen=True)
class Docstring:
    """A Google-style docstring in parts.

    Attributes:
        text: what comes before the first section.
        sections: title -> text, as ``Args`` -> ...
    """

    text: str
    sections: dict[str, str]


_TITLES = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples")


def parse(docstring: str) -> Docstring:
    """Take a docstring apart."""
    text, sections, title = [], {}, ""
    for line in inspect.cleandoc(docstring).splitlines():
        if line.rstrip(":") in _TITLES and line.endswith(":"):
            title = line[:-1]
            sections[title] = ""
        elif title:
            sections[title] += line + "\n"
        else:
            text.append(line)
    return Docstring("\n".join(text).strip(), {k: inspect.cleandoc(v) for k, v in sections.items()})


def _rst(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text).replace("<", "&lt;").replace("*", "\\*")


def _entries(text: str) -> list[str]:
    out: list[str] = []
    for line in text.splitlines():
        if re.match(r"\S", line) and ":" in line:
            name, _, rest = line.partition(":")
            names = ", ".join(f"`{each.strip()}`" for each in name.split(","))
            out.append(f"{names}\n:   {_rst(rest.strip())}")
        elif out:
            out[-1] += " " + _rst(line.strip())
    return out


def _described(docstring: str) -> list[str]:
    doc = parse(docstring)
    out = [_rst(doc.text)]
    for title, text in doc.sections.items():
        if title.startswith("Example"):
            code = re.sub(r"\s*# doctest:.*", "", text)
            lines = [re.sub(r"^(>>>|\.\.\.) ?", "", line) if re.match(r"^(>>>|\.\.\.)", line)
                     else f"# {line}" for line in code.splitlines() if line.strip()]  # fmt: skip
            out.append("```python\n" + "\n".join(lines) + "\n```")
        elif title in ("Returns", "Yields"):
            out.append(f"*{title}* " + _rst(re.sub(r"\s+", " ", text)))
        else:
            out += [f"*{title}*", *_entries(text)]
    return out


def _signature(name: str, node: ast.FunctionDef) -> str:
    bare = ast.FunctionDef(
        name=name, args=node.args, body=[ast.Expr(ast.Constant(...))], decorator_list=[],
        returns=node.returns, type_params=[],
    )  # fmt: skip
    bare.args.args = [arg for arg in bare.args.args if arg.arg != "self"]
    text = (
        ast.unparse(ast.fix_missing_locations(bare)).removesuffix(":\n    ...").removeprefix("def ")
    )
    inside, _, returns = text.partition("(")[2].rpartition(")")
    # An annotation has no "=" in it: the first one is before the default.
    parts = [
        re.sub(r"^(\w+: [^=]+)=", r"\1 = ", part)
        for part in re.split(r", (?![^\[(]*[\])])", inside)
    ]
    text = f"{name}({', '.join(parts)}){returns}"
    if len(text) > 90:
        text = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"
    return f"```python\n{text}\n```"


def _records(body: list[ast.stmt]) -> dict[str, Any]:
    """What a module's ``E, A = EvaluateJob(""), AuditJob("")`` makes: records of defaults."""
    homes = {
        alias.asname or alias.name: node.module
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    made: dict[str, Any] = {
        name: getattr(importlib.import_module(home), name)
        for name, home in homes.items()
        if name.isupper() and home.startswith("camcli.jobs")
    }
    for node in body:
        if not isinstance(node, ast.Assign):
            continue
        targets, values = ([n.elts if isinstance(n, ast.Tuple) else [n]][0]
                           for n in (node.targets[0], node.value))  # fmt: skip
        for target, value in zip(targets, values, strict=False):
            if isinstance(target, ast.Name) and isinstance(value, ast.Call):
                called = getattr(value.func, "id", None)
                if called in homes:
                    record = getattr(importlib.import_module(homes[called]), called)
                    made[target.id] = record(*map(ast.literal_eval, value.args))
    return made


class _Defaults(ast.NodeTransformer):
    """Writes a default that is taken from a record as what it is."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.records = records

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``E.methods`` as ``'cam'``."""
        if isinstance(node.value, ast.Name) and node.value.id in self.records:
            value = getattr(self.records[node.value.id], node.attr)
            if isinstance(value, Path):
                value = str(value)
            if isinstance(value, (type(None), bool, int, float, str, tuple)):
                return ast.parse(repr(value), mode="eval").body
        return node


def _member(name: str, home: str) -> list[str]:
    spec = importlib.util.find_spec(home)
    if spec is None or spec.origin is None:
        raise LookupError(f"{name}: there is no module {home}")
    body = ast.parse(Path(spec.origin).read_text("utf-8")).body
    records = _records(body)
    for i, node in enumerate(body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            node.args = _Defaults(records).visit(node.args)
            return [_signature(f"camcli.{name}", node), *_described(ast.get_docstring(node) or "")]
        if isinstance(node, ast.ClassDef) and node.name == name:
            out = _described(ast.get_docstring(node) or "")
            for part in node.body:
                shown = isinstance(part, ast.FunctionDef) and (
                    not part.name.startswith("_") or part.name == "__call__"
                )
                if shown and ast.get_docstring(part):
                    title = "(call)" if part.name == "__call__" else part.name
                    out += [f"### {name}.{title}", _signature(part.name, part)]
                    out += _described(ast.get_docstring(part) or "")
            return out
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            after = body[i + 1] if i + 1 < len(body) else None
            doc = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return [_rst(str(after.value.value))] if doc else []
    raise LookupError(f"{name} is not in {home}")


def python_page() -> str:
    """The Python API: what ``camcli`` exports, by its docstrings."""
    import camcli

    out = [
        "# Python",
        "`import camcli` costs nothing: torch is imported when a name is first used. Everything "
        "here is what the commands themselves use.",
    ]
    for name in camcli.__all__:
        home = camcli.HOMES.get(name)
        if home is not None:
            out += [f"## camcli.{name}", *_member(name, home)]
    return "\n\n".join(out) + "\n"


# ---------------------------------------------------------------- what works with what


def methods_table() -> str:
    """The methods as ``camcli methods`` lists them."""
    rows = [
        "| method | map | paper | costs with a GAP head | else |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method in _methods():
        notes = f" = {method['equals']} for a GAP head." if method["equals"] else ""
        if method["needs"]:
            notes += "" if method["explains"] else " **No explanation.**"
            notes += f" Needs {method['needs'].replace('--', '`--', 1)}`."
        elif not method["class_specific"]:
            notes += " The same map for every class."
        formula = method["formula"].replace("|", "\\|").replace("*", "\\*")
        formula = re.sub(r"(?<=\w)_(\w+)", r"<sub>\1</sub>", formula)
        rows.append(
            f"| `{method['name']}` | {formula}{';' + notes if notes else ''} "
            f"| {_paper(method['paper'])} | {method['cost_linear_head']} | {method['cost_other']} |"
        )
    return "\n".join(rows)


def _paper(text: str) -> str:
    text = re.sub(r"arXiv (\d{4}\.\d{5})", r"[\1](https://arxiv.org/abs/\1)", text)
    text = re.sub(r"(10\.\d{4,}/[\w.]+)", r"[\1](https://doi.org/\1)", text)
    return re.sub(r"(hal-\d+)", r"[\1](https://hal.science/\1)", text)


def _methods() -> list[dict[str, Any]]:
    from typer.testing import CliRunner

    from camcli.cli.app import app

    done = CliRunner().invoke(app, ["methods", "--json"])
    return json.loads(done.stdout)


def compatibility_page() -> str:
    """Networks, methods, runtimes and formats, and which go together."""
    template = (HERE / "compatibility.txt").read_text("utf-8")
    return template.format(
        networks=_networks(), methods=_by_network(), formats=_formats(), runtimes=_runtimes(),
        containers=_containers(), datasets=_datasets(), columns=_columns(),
    )  # fmt: skip


def _networks() -> str:
    rows = [
        "| network | input | explained by default | map | GAP head | cannot | OpenVINO |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    with (HERE / "networks.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cannot = ", ".join(f"`{name}`" for name in row["refused"].split()) or "—"
            rows.append(
                f"| `{row['network']}` | {row['input']} | `{row['layer']}` | {row['map']} "
                f"| {row['linear_head']} | {cannot} | {row['openvino']} |"
            )
    return "\n".join(rows)


def _by_network() -> str:
    from camcli.cam.listed_facts import LISTED
    from camcli.cam.map_options import MASKED, SAMPLED

    rows = [
        "| method | needs | of a class | `--signed` | `--smooth eigen` | `--layer` | also takes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    mark = {True: "yes", False: "—"}
    for one in LISTED.values():
        facts = one.facts
        needs = "GAP head" if facts.cost[1] == "not defined" else "any network"
        if facts.attention:
            needs = "tokens that all look at each other"
        if one.needs:
            needs = one.needs.replace("--", "`--", 1) + "`"
        extra = [f"`{o}`" for o in ("--channels", "--converge") if facts.name in MASKED]
        extra += ["`--samples`"] if facts.name in SAMPLED else []
        rows.append(
            f"| `{facts.name}` | {needs} | {mark[facts.class_specific]} | {mark[facts.signed]} "
            f"| {mark[facts.weighted]} "
            f"| {mark[one.explains and not facts.network]} | {', '.join(extra) or '—'} |"
        )
    return "\n".join(rows)


def _containers() -> str:
    from camcli.data.sources.containers.registry import CONTAINERS

    return " and ".join(f"`{suffix}`" for kind in CONTAINERS for suffix in kind.suffixes)


def _datasets() -> str:
    from camcli.data.datasets.registry import KINDS

    rows = ["| | looks like | name | how it gets here |", "| --- | --- | --- | --- |"]
    for kind in KINDS:
        name = f"`{kind.name}`" if kind.folders else "—"
        how = f"`{kind.command}` ({kind.get.said})" if kind.get else "—"
        rows.append(f"| {kind.title} | {kind.what.replace('<', '&lt;')} | {name} | {how} |")
    return "\n".join(rows)


def _columns() -> str:
    from camcli.batch.tables.columns import OUTPUT_COLUMNS, columns_of

    rows = ["| column | holds | |", "| --- | --- | --- |"]
    rows += [
        f"| `{each.name}` | {each.doc} | {f'since {each.since}' if each.since else ''} |"
        for each in (*columns_of(2), *OUTPUT_COLUMNS)
    ]
    return "\n".join(rows)


def _formats() -> str:
    from camcli.data.picture_formats import TABLE

    rows = ["| format | files | read |", "| --- | --- | --- |"]
    for each in TABLE:
        read = "yes" if each.readers else "found and told"
        read += f"; where not: {each.advice}" if each.readers and each.advice else ""
        read += f"; {each.advice}" if not each.readers else ""
        rows.append(f"| {each.name} | `{each.extensions}` | {read} |")
    return "\n".join(rows)


def _runtimes() -> str:
    from camcli.models.runtime.registry import ENTRIES

    rows = ["| `--runtime` | device | `--precision` | needs |", "| --- | --- | --- | --- |"]
    rows += [f"| `{n}` | {e.devices} | {e.precisions} | {e.needs} |" for n, e in ENTRIES.items()]
    return "\n".join([*rows, "| `auto` | any | as what it chooses | nothing |"])


# ---------------------------------------------------------------- pages of the repository

ELSEWHERE = {
    "changes.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "architecture.md": ROOT / "ARCHITECTURE.md",
    "results.md": ROOT / "benchmarks" / "RESULTS.md",
}
"""Pages of the site that lie elsewhere in the repository."""


def brought(name: str) -> str:
    """A page that lies elsewhere, its links turned to the site's pages, or to plain text."""
    source = ELSEWHERE[name]
    text = source.read_text("utf-8")
    homes = {path.resolve(): page for page, path in ELSEWHERE.items()}

    def link(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        if re.match(r"https?:|#|mailto:", target):
            return match[0]
        path, _, anchor = target.partition("#")
        where = (source.parent / path).resolve()
        if where in homes:
            page = homes[where]
        elif where.is_relative_to(HERE) and where.suffix in {".md", ".jpg", ".png"}:
            page = where.relative_to(HERE).as_posix()
        else:
            return label if match[0][0] != "!" else ""
        return f"{match[0][: match[0].index('[')]}[{label}]({page}{'#' + anchor if anchor else ''})"

    return re.sub(r"!?\[([^\]]*)\]\(([^)\s]+)\)", link, text)


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/toml.md": toml_page,
    "reference/python.md": python_page,
    "reference/compatibility.md": compatibility_page,
}


def pages() -> dict[str, str]:
    """Every page that is written when the site is built, by its name in the site."""
    made = {name: write() for name, write in PAGES.items()}
    made |= {name: brought(name) for name, path in ELSEWHERE.items() if path.is_file()}
    return made


def skill() -> str:
    """The agents' page without its header, one level of headings further down."""
    text = (ROOT / "skills" / "camcli" / "SKILL.md").read_text("utf-8")
    body = text.split("---\n", 2)[2]
    return re.sub(r"^#", "##", body.strip(), flags=re.M)


def photographs() -> str:
    """Who made the photographs: the table of their own README."""
    text = (ROOT / "sample_images" / "README.md").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


# ---------------------------------------------------------------- MkDocs


def on_config(config: Any) -> Any:
    """Name the page on architecture in the navigation, where the repository has one."""
    if ELSEWHERE["architecture.md"].is_file():
        (last,) = config.nav[-1].values()
        last.append({"Architecture": "architecture.md"})
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the written pages to the site."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put tables where a page asks for them."""
    markdown = markdown.replace("<!-- the methods -->", methods_table())
    markdown = markdown.replace("<!-- the skill -->", skill())
    return markdown.replace("<!-- the photographs -->", photographs())


_SHIM = "https://unpkg.com/iframe-worker/shim"
_FROM_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="?(https?:[^"> ]+)"""
)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Load what makes the search work on a disk from the site, and nothing from elsewhere.

    Raises:
        PluginError: the page would load something from another server.
    """
    from mkdocs.utils import get_relative_url

    return _own(output, page.url, get_relative_url("iframe-worker.js", page.url))


def on_post_template(output_content: str, *, template_name: str, **_: Any) -> str:
    """The same for what is no page: 404.html, which a server shows."""
    if not template_name.endswith(".html"):
        return output_content
    return _own(output_content, template_name, "/iframe-worker.js")


def _own(output: str, name: str, shim: str) -> str:
    from mkdocs.exceptions import PluginError

    output = output.replace(_SHIM, shim)
    if found := _FROM_ELSEWHERE.search(output):
        raise PluginError(f"{name} loads {found[1]}")
    return output


def main() -> None:
    """Write the pages into a folder."""
    (folder,) = sys.argv[1:]
    for name, text in pages().items():
        target = Path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
