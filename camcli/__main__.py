"""``python -m camcli`` and the ``camcli`` console script."""

from __future__ import annotations

import os
import signal
import sys
import threading


def main() -> None:
    """Run the command line, and end the process.

    Raises:
        SystemExit: with the exit code; where it is the program's last word, nobody sees it.
    """
    if os.getpid() == 1:  # of a container: the kernel lets it sleep through what it does not await
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(143))
    try:
        try:
            run()
        except KeyboardInterrupt:  # while the commands were imported, which then say it themselves
            print("error: Interrupted.", file=sys.stderr)
            sys.exit(130)
    except SystemExit as leaving:
        from camcli.cli.terminal.process import is_program, leave

        if is_program(sys._getframe(1)):
            leave(leaving.code)
        raise


def run() -> None:
    """Run the command line.

    Raises:
        SystemExit: always, with the exit code.
    """
    # No telemetry, no hub look-ups: before anything that might read these is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from camcli.cli.terminal import streams

    streams.prepare()
    from camcli.cli.terminal.process import importing

    with importing():
        from camcli.cli.app import app
        from camcli.cli.terminal.console import TERMINATED, end_hard

    try:
        app()
    except SystemExit as leaving:
        if leaving.code == TERMINATED:  # Python waits for its threads
            end_hard(threading.Event())
        # A stream that fails at the very end must not turn success into silence.
        failed = streams.finish()
        if failed and not leaving.code:
            sys.exit(failed)
        raise
    except streams.ReaderGoneError:  # while help was printed, before any command ran
        sys.exit(0)
    except streams.UnwritableError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
