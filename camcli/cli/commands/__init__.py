"""One file a command: its options, its checks, what it calls and what it prints.

In: the words of the command line. Out: data on stdout, progress on stderr, an exit code.
Open first: `explain`.
"""
