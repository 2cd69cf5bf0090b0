"""Labelled images for training: where they are, which layout they have, what is in which split.

In: a name such as ``fruits360``, a folder or a table. Out: `load.Dataset`. Open first: `load`.
"""
