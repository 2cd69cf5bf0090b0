"""How good a head really is: judged on pictures that it has not seen, many times over.

In: features, truth, and which pictures belong together. Out: out-of-fold predictions, intervals.
Open first: `folds`.
"""
