"""What a network returns: the scores in its answer, its last activation, what its numbers mean.

In: what a network said of trial images. Out: logits (B, C), and an `Output`. Open first: `asking`.
"""
