"""Names of classes: ImageNet's, those of a file, and the one that a person means.

In: words. Out: indices and names; what is not found is refused with the nearest ones.
Open first: `named_class`.
"""
