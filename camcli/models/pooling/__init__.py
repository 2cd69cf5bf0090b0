"""What a head is given of the maps: their mean, or other statistics, which a map explains exactly.

In: maps A (B, K, h, w) of one or several layers. Out: numbers for a head (B, K'), and the maps
whose means they are. Open first: `pooling.py`, then `statistics.py`.
"""
