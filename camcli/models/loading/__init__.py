"""From what a user asks for to a network with classes and preprocessing.

In: a name, a file of code or a checkpoint. Out: a `builder.BuiltModel`. Open first: `zoo`; another
kind of name is a file and an entry in `sources`.
"""
