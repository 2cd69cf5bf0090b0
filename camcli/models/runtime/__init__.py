"""What runs the backbone: torch as it is or compiled, OpenVINO, eight bits.

In: a `Classifier`. Out: the same classifier, its features computed by the fastest that agrees with
torch. Open first: `policy`; another runtime is a file and
an entry in `registry`.
"""
