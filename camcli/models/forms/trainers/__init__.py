"""What training libraries pickle, opened where they are trusted and installed.

In: a ``-cls.pt`` of Ultralytics, an ``export.pkl`` of fastai. Out: a `BuiltModel`. Open first:
`opening`.
"""
