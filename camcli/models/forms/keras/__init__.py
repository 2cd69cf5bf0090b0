"""Networks of Keras 3, followed layer by layer.

In: a ``.keras`` or ``.h5`` file. Out: a `BuiltModel`. Open first: `network`.
"""
