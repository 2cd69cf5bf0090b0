"""What stands in the table: rows and columns, what beats its controls, what to use, what was lost.

In: numbers and their bootstrap draws. Out: rows with intervals, advice in words. Open first:
`columns`.
"""
