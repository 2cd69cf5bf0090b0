"""Compiled programs (TorchScript, ``torch.export``) as networks of layers again.

In: a program in memory. Out: an `nn.Module`. Open first: `network`.
"""
