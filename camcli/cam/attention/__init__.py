"""Methods that look at a transformer's attention: who looked at which token, to what effect.

In: a batch that the network has seen within `seen.Attending`. Out: one map an image. Open first:
`seen`, then `legrad`.
"""
