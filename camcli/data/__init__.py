"""Images: which there are, their pixels, their labels, and drawn ones.

In: what a user names. Out: references, pixels, tensors. Open first: `sources.find`, then
`decode.images`. Nothing here knows of networks.
"""
