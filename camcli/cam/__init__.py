"""Maps: a method is a few lines, the formula in its paper's symbols.

In: features, head and tail (`method_input`). Out: one map an image, signed. Open first: `methods`,
then `activations`. Pure functions on tensors.
"""
