"""Networks: from a name or a file to a `classifier.Classifier` that gives features and logits.

In: what a user asks for. Out: A (features), the tail, the linear head, the classes. Open first:
`classifier`; then `loading` (where it comes from) and `cutting` (how it is cut).
"""
