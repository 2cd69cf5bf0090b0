"""The engine in several processes of this machine: for several GPUs, and for many cores.

In: a `Run` and its references. Out: Results, in their order. Open first: `engine`.
"""
