"""Stickers, lines of text, rulers, frames: found, cut out, taken away, put on.

In: photographs by predicted class. Out: suspects with their places and how they are changed.
Open first: `anywhere.repeated`, then `fixed.fixed_place` and `frame.frames`.
"""
