"""The machine of a benchmark in general terms: no names, no paths."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe() -> str:
    """Processor family, number of cores, system, versions of Python and numpy."""
    import numpy

    python = f"Python {platform.python_version()}, numpy {numpy.__version__}"
    return f"{_processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, {platform.system()}, {python}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if ":" in line)
    known = {name.strip(): value.strip() for name, value in fields.items()}
    return f"{known.get('vendor_id', platform.machine())} family {known.get('cpu family', '?')}"
