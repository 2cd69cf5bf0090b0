"""What a page's scripts are told once: colours and scales, and the commands that find out more.

In: a run and its rows. Out: plain values for ``camcli.settings``. Open first: `looks`.
"""
