"""Does the network use it? Suspects are taken away and put on, beside a control.

In: suspects, photographs, a network. Out: findings with their effects. Open first: `prove`.
"""
