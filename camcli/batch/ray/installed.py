"""Whether Ray is here; told without importing it, or torch."""

from __future__ import annotations

import importlib.util

from camcli.errors import UnavailableError


def check_ray() -> None:
    """Refuse before anything is loaded.

    Raises:
        UnavailableError: Ray Data is not installed.
    """
    # Found, not imported: Ray takes seconds.
    if not all(importlib.util.find_spec(name) for name in ("ray", "pyarrow")):
        raise UnavailableError(
            "--engine ray needs Ray Data: pip install 'camcli[ray]', on every machine."
        )
