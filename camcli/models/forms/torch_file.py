"""A file of tensors by name: the architecture is recognised by their names and shapes."""

from __future__ import annotations

from camcli.errors import UsageError
from camcli.models.loading.builder import BuiltModel
from camcli.models.loading.sources import AskedModel


def build(asked: AskedModel) -> BuiltModel:
    """The network that a state dict belongs to.

    Raises:
        UsageError: the tensors are of no architecture that is known.
    """
    raise UsageError(
        f"{asked.name} holds tensors: name their architecture with --model, and give the file with "
        "--weights."
    )
