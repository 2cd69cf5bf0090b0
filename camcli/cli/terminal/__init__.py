"""Standard streams, messages, bars and exit codes, the same in every command.

In: words and numbers. Out: what a terminal, a log file or a pipe can show. Open first: `console`.
"""
