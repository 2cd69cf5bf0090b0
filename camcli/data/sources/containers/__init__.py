"""Files that hold many pictures, which are read where they lie; nothing is unpacked.

In: the path or URL of one (``shard-000.tar``, ``photos.zip``). Out: `member.Member`s, each with the
`Blob` that reads its bytes. Open first: `registry`; another kind is one file beside ``zip.py`` and
one entry there.
"""
