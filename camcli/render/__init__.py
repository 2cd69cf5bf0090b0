"""Pictures: maps laid over photographs, labels, sheets, charts and the report's pages.

In: Results and rows. Out: files to look at. Open first: `picture`.
"""
