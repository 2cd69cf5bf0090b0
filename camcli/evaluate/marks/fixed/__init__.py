"""Marks at one place: rulers, lines of text, dates whose digits differ, watermarks, dirt.

In: photographs by predicted class. Out: suspects. Open first: `fixed_place`.
"""
