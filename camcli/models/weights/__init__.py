"""Weight files: where they lie, what they are by their bytes, and reading without running.

In: a path or a known file. Out: tensors by the network's own names. Open first:
`places`, then `files`.
"""
