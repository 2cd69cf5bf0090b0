"""What a map and a prediction are worth: one file a metric, each with its paper.

In: maps, annotations, logits. Out: numbers with intervals (`bootstrap`).
Open first: `localization`.
"""
