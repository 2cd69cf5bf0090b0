"""What a person has marked on the page of a run, and the data set that is left of it.

In: a file of marks, and a data set. Out: a copy, a table or a list without what was dropped, under
the labels that were given. Open first: `decide`.
"""
