"""Which images there are, and what each one's label is; nothing is decoded here.

In: what a user names (folder, glob, list, tar, URL, stdin). Out: `refs.ImageRef`s, in the same
order everywhere. Open first: `find`.
"""
