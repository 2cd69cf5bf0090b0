"""What a page knows of each photograph of a run, or of two.

In: a run's table and its maps. Out: a row a photograph, in order, and their sums.
Open first: `image_rows`.
"""
