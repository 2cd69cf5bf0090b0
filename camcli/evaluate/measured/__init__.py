"""What a comparison starts from: photographs seen once, with their boxes and masks.

In: images, a classifier, files of annotations. Out: `seen.Seen`, everything on one square canvas.
Open first: `seen`.
"""
