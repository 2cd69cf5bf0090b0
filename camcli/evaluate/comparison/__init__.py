"""Methods and networks side by side, with their controls, as a table and a chart.

`questions/` what is asked, `turn/` a network's turn, `measuring/` what it and its maps are measured
by, `rows/` what stands in the table, `result/` what is found as a record, a screen and files.

In: networks, methods, photographs. Out: one row a method, a verdict, files. Open first:
`turn.network_turn`, then `measuring.compare`.
"""
