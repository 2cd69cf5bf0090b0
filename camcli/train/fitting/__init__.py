"""What learns: a head on features that stay, then perhaps some layers of the backbone.

In: features and labels. Out: weights, with their history. Open first: `head_stage`, then
`finetune`.
"""
