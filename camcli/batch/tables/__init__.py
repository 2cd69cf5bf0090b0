"""The files of rows that a run keeps: ``predictions.csv``, ``heatmaps.jsonl`` and their exports.

In: Results. Out: rows that survive a kill, and rows read back, also after a spreadsheet saved them.
Open first: `journal`.
"""
