"""Frames, bars and strips along the borders of photographs.

In: photographs by predicted class. Out: suspects. Open first: `frames`.
"""
