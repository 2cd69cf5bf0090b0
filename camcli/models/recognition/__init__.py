"""Which architecture a file's tensors are of, told from their names and shapes alone.

In: tensors by name. Out: architectures of torchvision and timm (`recognise.Recognised`), and the
head that somebody put in the place of theirs. Open first: `recognise`; `index` is what they are
compared with, `ci/architectures.py` makes it.
"""
