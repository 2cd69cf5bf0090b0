"""The engine: a stream of Results over any number of images, and where they are kept.

In: a source of images and a classifier. Out: a run directory with one row and one picture an
image. Open first: `run`, then `engine` and `explain`.

The Python API calls its function ``camcli.batch`` and the design calls this package so. Importing
a package makes it an attribute of its parent, so the package itself is what gets called.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from camcli.api import batch

        return batch(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
