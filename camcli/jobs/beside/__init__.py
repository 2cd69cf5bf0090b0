"""What other commands left beside a run, or inside it, that its page shows.

In: folders that `check`, `audit`, `evaluate` and `train` wrote, annotations. Out: plain values for
`camcli.render`. Open first: `findings`.
"""
