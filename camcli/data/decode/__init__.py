"""From an image's bytes to the tensor that a network takes.

In: a `sources.refs.ImageRef`. Out: RGB pixels (`images`), and the network's input with the way
back to the photograph (`preprocess`). Open first: `images`.
"""
