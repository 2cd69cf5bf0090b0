"""What is usual: how far the features of a photograph are from those of references.

In: features A (K, h, w) of references, and a `Classifier` that is cut at one layer. Out: the same
network with a distance as its tail; its two outputs are values. Open first: `usual.py`, then
`compared.py`.
"""
