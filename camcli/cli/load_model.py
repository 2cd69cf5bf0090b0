"""A classifier for a command: loaded, with what a user should see about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camcli.cli.terminal.console import say, warn
from camcli.cli.terminal.process import importing
from camcli.jobs.model import ModelJob
from camcli.locks import no_semaphores

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier


def load(job: ModelJob | Classifier, *, quiet: bool = False) -> Classifier:
    """The classifier that is asked for.

    Args:
        job: which one.
        quiet: do not say that it takes a while.

    Raises:
        UsageError: settings that contradict each other, or another layer than the network has.
        UnavailableError: the weights are not on this machine.
    """
    if not isinstance(job, ModelJob):  # is loaded
        return job
    job.check()
    begin(job, quiet=quiet)
    return job.load(say=say, warn=warn)


def begin(job: ModelJob, *, quiet: bool = False) -> None:
    """Say that a network is being loaded, and import what that takes.

    Args:
        job: was checked: from here on, a mistake costs seconds.
        quiet: do not say it.
    """
    if not quiet:
        say(f"Loading {job.called} ...")
    no_semaphores()
    with importing():
        import camcli.models.classifier  # noqa: F401 - torch, for the most part
