"""What a network looks at across a whole data set, and which classes rest on a shortcut.

In: photographs and a network, or the maps that a run kept. Out: flags, facts, clusters and their
files. Open first: `audit`.
"""
