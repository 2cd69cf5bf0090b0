"""A run as it goes on, for those who look: curves that grow, and TensorBoard's files.

In: the epochs so far, the finished checkpoint. Out: files in the run's folder, nothing that a run
goes on from. Open first: `follower`.
"""
