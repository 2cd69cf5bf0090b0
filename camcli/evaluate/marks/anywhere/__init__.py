"""Marks wherever they are: the same thing in photograph after photograph, cut out and put on.

In: photographs by predicted class. Out: suspects, and pairs that are nearly one photograph.
Open first: `repeated`, then `search`, `cut_out` and `patch_change`.
"""
