"""Networks as they lie on disk, one file a form: what it is, and how it becomes a classifier.

In: a path or an address (`camcli.models.loading.sources.AskedModel`). Out: `BuiltModel`.
Open first: registry.py.
"""
