"""The command line: it parses, calls and prints; torch is imported when a command needs it.

In: words. Out: data on stdout, progress on stderr, exit codes. Open first: `app`.
"""
