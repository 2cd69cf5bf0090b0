"""Methods and networks side by side, with their controls, as a table and a chart.

In: networks, methods, photographs. Out: one row a method, a verdict, files. Open first: `compare`.
"""
