"""What a command does, as one record of settings: the command line, Python and Ray share it.

In: settings as a user says them. Out: mistakes, told without torch, and work that can be started.
Open first: `model` (which network), then `explain`.

A record is frozen and can be pickled. Each field's default stands there and nowhere else: the
options of `camcli.cli` take it from the record, and so do the functions of `camcli.api`. `check`
tells every mistake that needs no network; torch is imported when something is loaded.
"""
