"""What a run adds up to: counts, agreement with its labels, and what a person should look at first.

In: rows as they pass by, or a table. Out: records and sentences. Open first: `highlights`.
"""
