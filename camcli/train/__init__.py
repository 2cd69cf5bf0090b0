"""A classifier of one's own: a frozen backbone, a new GAP + softmax head, perhaps fine-tuned.

In: settings (`config`). Out: a folder with checkpoints, metrics and charts. Open first: `run`.
"""
