"""Is a map to be believed, and what is wrong with the network?

In: photographs, networks, annotations. Out: tables, flags, clusters. Open first:
`comparison.measuring.compare` and `audit.audit`.
"""

from camcli.verbs import make_callable

make_callable(__name__)
