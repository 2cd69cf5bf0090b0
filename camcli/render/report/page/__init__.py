"""A page's files: document, scripts, styles, data and thumbnails.

In: rows, settings and parts. Out: a folder that opens offline, or one file. Open first: `pages`.
"""
