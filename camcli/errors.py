"""Mistakes that a user can make, each with the exit code that a shell script sees.

Every message is one sentence or two: what was wrong, with which file or value, and what to do.
"""


class CamcliError(Exception):
    """Something the user can act on; shown as one message, never as a traceback."""

    exit_code = 1


class UsageError(CamcliError):
    """A wrong option, name or combination of options."""

    exit_code = 2


class UnavailableError(CamcliError):
    """Weights or a data set that are not on this machine."""

    exit_code = 4


class ImageError(CamcliError):
    """One image that cannot be read; in a batch it becomes an error row and the run goes on."""
