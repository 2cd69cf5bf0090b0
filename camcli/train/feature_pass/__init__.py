"""The feature pass: each picture goes through the backbone once, and never again.

In: labelled pictures and a backbone. Out: pooled features, kept on the disk. Open first:
`features`.
"""
