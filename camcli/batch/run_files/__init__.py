"""The run directory: what is in it, whose it is, and how parts of one run are joined.

In: a path. Out: a `rundir.RunDirectory` that only one run writes into. Open first: `rundir`.
"""
