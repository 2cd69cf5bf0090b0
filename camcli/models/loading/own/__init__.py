"""Networks of one's own in memory: what they say of themselves, and what asking them tells.

In: code, or an `nn.Module`. Out: a `BuiltModel`. Open first: `module`.
"""
