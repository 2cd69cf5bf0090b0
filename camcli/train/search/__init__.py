"""Which way of looking, and which head on it, suits the images best: found by cross-validation.

In: the settings, of which something is open, and the training images. Out: settings of which
nothing is open, and a table of what was tried. Open first: `find.py`, then `looks.py`.
"""
