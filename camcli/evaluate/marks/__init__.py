"""Stickers, lines of text, rulers, frames: found, cut out, taken away, put on.

In: photographs by predicted class. Out: suspects with their places and how they are changed.
Open first: `repeated`, then `search`, `cut_out` and `patch_change`.
"""
