"""What may be wrong with a network or its data, as records that every room nearby speaks of.

In: nothing; these are records. Out: photographs to be looked at again, suspects, findings.
Open first: `finding`.
"""
