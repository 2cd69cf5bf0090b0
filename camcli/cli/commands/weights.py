"""`camcli weights`: the weight files on this machine."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from camcli.cli.checked_command import Command, Group
from camcli.cli.terminal.console import emit, emit_json, say
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.printable import counted

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="List, find, fetch and check weight files.\n\n"
    "They are looked up in $CAMCLI_WEIGHTS_DIR, then in torch's cache, and timm's in Hugging "
    "Face's cache as well. CAMCLI_OFFLINE=1 keeps every command off the network.",
)


@app.command("list", cls=Command)
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for scripts.")] = False,
) -> None:
    """List the weight files on this machine."""
    from camcli.models.loading.named.catalogue import files_here

    files = list(files_here())
    if as_json:
        rows = [
            {"model": f.model, "path": str(f.path), "size": f.size, "sha256": f.sha256}
            for f in files
        ]
        emit_json(rows, indent=2)
        return
    for folder, group in groupby(files, key=lambda file: file.path.parent):
        # No table: a path that is folded cannot be copied.
        emit(folder)
        for file in group:
            name = file.path.name
            of = f"  ({file.model})" if file.model and file.model not in name else ""
            emit(f"  {file.size / 2**20:5.0f} MB  {name}{of}")


@app.command(cls=Command)
def where(
    model: Annotated[
        str | None, typer.Argument(help="A model as --model takes it; none for the folders.")
    ] = None,
) -> None:
    """Print where a model's weight file lies, or the folders in which files are looked up."""
    if model is None:
        from camcli.models.weights.places import search_dirs

        for folder in search_dirs():
            emit(folder)
        return
    from camcli.models.loading.sources import check_model

    check_model(model)

    from camcli.models.loading.named.catalogue import file_of, weight_file

    found = file_of(model)
    if found is None:
        file = weight_file(model)
        raise UnavailableError(
            f"The weights of {model} ({file.filename}) are not on this machine; "
            f"`camcli weights fetch {model}` gets them from {file.url}."
        )
    emit(found.path)


@app.command(cls=Command)
def fetch(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="As --model takes them.")],
    weights: Annotated[
        str | None,
        typer.Option(help="One of torchvision's sets of weights, such as IMAGENET1K_V1."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            file_okay=False,
            help="Where to; by default $CAMCLI_WEIGHTS_DIR, else torch's cache.",
        ),
    ] = None,
) -> None:
    """Download weights and print where they are; an interrupted download is continued."""
    from camcli.models.loading.sources import check_model

    for model in models:
        check_model(model)

    from camcli.models.loading.named.catalogue import weight_file
    from camcli.models.weights.files import read_state
    from camcli.models.weights.places import expected_sha256, find, is_offline
    from camcli.models.weights.places import fetch as fetch_file
    from camcli.net.download import present

    for file in [weight_file(model, weights) for model in models]:
        path = present(folder / file.filename) if folder else find(file)
        if path is not None:
            read_state(path, expected_sha256(file, path))
            say(f"{file.model} is here already.")
        elif is_offline():
            raise UnavailableError(
                f"CAMCLI_OFFLINE is set, so {file.url} was not asked: unset it to fetch."
            )
        else:
            path = fetch_file(file, folder)
        emit(path)


@app.command(cls=Command)
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL|FILE]...", help="None for every file on this machine."),
    ] = None,
) -> None:
    """Check weight files against the sha256 that they should have; exit code 1 if one differs."""
    from camcli.models.loading.sources import check_model

    for name in names or ():
        if Path(name).suffix in (".pth", ".pt", ".safetensors"):
            if not Path(name).is_file():
                raise UsageError(f"There is no weight file {name}.")
        elif not Path(name).is_file():
            check_model(name)

    from camcli.models.loading.named.catalogue import FoundFile, file_of, files_here
    from camcli.models.weights.places import hash_in_name

    if names:
        files = []
        for name in names:
            path = Path(name)
            found: FoundFile | None
            if path.is_file():
                found = FoundFile(path, None, hash_in_name(path.name), path.stat().st_size)
            else:
                found = file_of(name)
            if found is None:
                raise UnavailableError(f"The weights of {name} are not on this machine.")
            files.append(found)
    else:
        files = list(files_here())
    damaged = 0
    for file in files:
        intact = file.intact()
        damaged += intact is False
        verdict = {True: "ok", False: "DAMAGED", None: "unknown"}[intact]
        emit(f"{verdict:<8}{file.path}")
    if any(file.sha256 is None for file in files):
        say("unknown: no digest is known for these files, so nothing was compared.")
    if damaged:
        raise CamcliError(
            f"Damaged: {damaged} of {counted(len(files), 'file')}. Delete and fetch again."
        )
