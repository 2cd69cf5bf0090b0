"""The engine: a stream of Results over any number of images, and where they are kept.

In: a source of images and a classifier. Out: a run directory with one row and one picture an
image. Open first: `run`, then `engine` and `explain`.
"""

from camcli.verbs import make_callable

make_callable(__name__)
