"""Pages that show a run, or two runs beside each other, in a browser.

In: a run directory. Out: a folder that opens offline. Open first: `build`; `rows` are what a page
knows of photographs, `settings` and `parts` what its scripts are told, `page` its files.
"""

from camcli.render.report.build import write_report
from camcli.render.report.compare import write_comparison
from camcli.render.report.rows.image_rows import RunData

__all__ = ["RunData", "write_comparison", "write_report"]
