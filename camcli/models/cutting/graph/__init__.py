"""A network as a graph (`torch.fx`): where its maps are, and what can be done to it.

In: an `nn.Module`. Out: a graph with the nodes that hold maps. Open first: `fx_graph`.
"""
