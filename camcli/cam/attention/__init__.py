"""Methods that look into a transformer: at its attention, or with relevance through all of it.

In: a network that runs within a mode (`seen.Attending`, `rules.Rules`), and `Evidence`. Out: maps
M (B, h, w). Open first: `seen` for who looked at which token, `rules` for what a backward pass by
AttnLRP is.
"""
