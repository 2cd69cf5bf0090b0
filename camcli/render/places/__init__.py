"""Where each photograph lies on a flat map of the data, and which ones are alike.

In: what each photograph is to the network, (n,) numbers. Out: places (x, y), and fewer numbers by
which a page finds neighbours. Open first: `layout`.
"""
