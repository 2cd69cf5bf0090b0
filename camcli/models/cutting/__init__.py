"""A network in two halves: images -> A (features), A -> logits (tail).

In: any `nn.Module`. Out: a `types.Cut`, checked on numbers. Open first: `cut`; it tries the graph
(`cut_graph`) and falls back to hooks (`cut_hooks`).
"""
