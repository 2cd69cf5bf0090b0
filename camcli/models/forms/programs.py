"""Compiled programs: TorchScript (``torch.jit.save``) and ``torch.export.save``.

What they compute is made a network of layers again (`camcli.models.programs.network`), so nothing
else need know that they were programs.
"""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

from camcli.errors import CamcliError
from camcli.files import open_regular
from camcli.models.forms.registry import kind_of, path_of
from camcli.models.loading.builder import BuiltModel, provenance, reason
from camcli.models.loading.own.module import of_module
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.places import sha256_of
from camcli.models.weights.programs import check_program


def build(asked: AskedModel) -> BuiltModel:
    """The network that a program computes.

    Raises:
        UsageError: it does more than compute, and is not trusted; or it takes no pictures.
        CamcliError: it is damaged, of a newer torch, or cannot be made a network again.
    """
    path = path_of(asked.name)
    kind = kind_of(path)
    check_program(path, kind, asked.trust_pickle)
    digest = sha256_of(path)
    module: nn.Module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "torchscript":
                module = torch.jit.load(str(path), map_location="cpu").eval()
            else:
                with open_regular(path) as file:  # whatever its name ends in
                    program = torch.export.load(io.BytesIO(file.read()))
                module = program.module(check_guards=False)
    except Exception as error:
        raise CamcliError(
            f"{path} cannot be opened by torch {torch.__version__}: {reason(error)}. It is damaged "
            "or was made by another version."
        ) from error
    what = "a TorchScript program" if kind == "torchscript" else "a program of torch.export"
    made = provenance(asked.name, str(path), digest, "user", notes=[f"{path.name}: {what}."])
    return of_module(module, asked, made)
