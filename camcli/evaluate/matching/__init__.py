"""The same thing in two photographs: local features, matched and aligned.

In: RGB pixels. Out: matches of photographs with the similarity that lays one on the other.
Open first: `local_features`, then `matches` and `alignment`.
"""
