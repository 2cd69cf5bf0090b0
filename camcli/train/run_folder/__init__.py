"""What a training leaves behind: settings, checkpoints, metrics, charts.

In: a path and what was learnt. Out: files that a killed run goes on from. Open first: `rundir`.
"""
