"""The measures of methods on photographs: in one pass, and those that take passes of their own.

In: a network, methods, photographs, questions. Out: rows, or a sentence for what was lost.
Open first: `compare`, then `one_pass`.
"""
