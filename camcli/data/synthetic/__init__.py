"""Drawn scenes whose objects' masks are known, for trying camcli without data.

In: a seed and a size. Out: pictures, masks and boxes. Open first: `scenes`.
"""
