"""Folders of Hugging Face and timm, on the disk or at their hub.

In: a folder, or ``hf:owner/name``. Out: a `BuiltModel`. Open first: `folder`.
"""
