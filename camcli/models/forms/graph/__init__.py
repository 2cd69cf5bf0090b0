"""A network as OpenVINO's own graph, cut in two without torch's code of it.

In: an ONNX or OpenVINO IR file. Out: a `Cut` whose halves OpenVINO runs, or torch where the rest
of the network is global average pooling and a linear layer, or is made of steps that torch has.
Open first: `cutter`; `network` is the graph as it is looked at, `values` how its parts are found.
"""
