"""One network after the other: what is asked of it, in order, how long it takes, what it answers.

In: networks that can be opened, methods, questions, truths. Out: all answers, while they come.
Open first: `session`, then `network_turn`.
"""
