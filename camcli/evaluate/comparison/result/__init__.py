"""What an evaluation found: one record, a table on the terminal, and files.

In: rows, verdicts and losses. Out: text, a chart, files that are whole. Open first: `result`, then
`table`.
"""
