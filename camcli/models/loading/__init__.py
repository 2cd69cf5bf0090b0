"""From what a user asks for to a network with classes and preprocessing.

In: a name, a file of code or a checkpoint. Out: a `builder.Built`. Open first: `zoo`.
"""
