"""The same run on many machines, through Ray Data.

In: a `run.Run`. Out: Results, as the local engine gives them. Open first: `engine`.
"""
