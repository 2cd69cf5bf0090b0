"""Networks that have a name: the bundled one, torchvision's and timm's.

In: an `AskedModel`. Out: a `BuiltModel`. Open first: `torchvision_zoo`.
"""
