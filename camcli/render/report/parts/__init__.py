"""What single tabs show: each is loaded when its tab is first looked at.

In: rows, and what other commands found out beside them. Out: name -> plain value.
Open first: `tabs`.
"""
