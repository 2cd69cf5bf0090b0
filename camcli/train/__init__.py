"""A classifier of one's own: a frozen backbone, a new GAP + softmax head, perhaps fine-tuned.

In: settings (`config`). Out: a folder with checkpoints, metrics and charts. Open first: `run`.
"""

from camcli.verbs import make_callable

make_callable(__name__)
