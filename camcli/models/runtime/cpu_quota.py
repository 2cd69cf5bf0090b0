"""How much of the processor a container may use, where that is told as time and not as cores."""

from __future__ import annotations

import math
from pathlib import Path

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def quota(groups: Path = GROUPS, own: Path = OWN) -> int | None:
    """Cores that the control groups of this process allow; None where they set no limit.

    ``docker run --cpus 2`` and Kubernetes' limits leave all cores of a machine in sight and stop
    whoever has used two cores' time until the next tenth of a second: threads for all of them would
    mostly stand still. A group may not use more than those above it; part of a core counts as one.

    Args:
        groups: where the system shows the groups, version 1 or 2.
        own: the file that says in which of them this process is.
    """
    try:
        lines = own.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    allowed = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / controllers if controllers else groups
        # In a container the path may be that of the host: then the top is the container's own.
        group = top / path.lstrip("/")
        for each in (group, *group.parents):
            allowed.append(_cores(each))
            if each == top:
                break
    found = [cores for cores in allowed if cores is not None]
    return max(1, math.ceil(min(found))) if found else None


def _cores(group: Path) -> float | None:
    try:
        if (newer := group / "cpu.max").exists():
            time, period = newer.read_text().split()
        else:
            time = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        cores = int(time) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max"; or no such limit here
        return None
    return cores if cores > 0 else None
