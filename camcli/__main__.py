"""``python -m camcli`` and the ``camcli`` console script."""

from __future__ import annotations

import os
import threading


def main() -> None:
    """Run the command line."""
    # No telemetry, no hub look-ups: before anything that might read these is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from camcli.cli.app import app
    from camcli.cli.console import TERMINATED, end_hard

    try:
        app()
    except SystemExit as stop:
        if stop.code == TERMINATED:  # Python waits for its threads
            end_hard(threading.Event())
        raise


if __name__ == "__main__":
    main()
