"""What of the file system a Python process needs: its own files, shared libraries, time zones, and no more."""

import os
import sys
from pathlib import Path

# What runs inside, with nothing of ours beside it.
INSIDE = Path(__file__).parent / "inside"
DEVICES = ("/dev/null", "/dev/urandom")
LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


def interpreter() -> Path:
    """The Python that this one came from: an environment's own packages are none of an answer's business."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def readable() -> tuple[str, ...]:
    """Files and folders, shortest first; none lies in another. Links of the system (/lib) stay links."""
    python = (str(interpreter()), str(Path(sys.base_prefix) / "lib"), str(Path(os.__file__).parent.resolve()))
    found = sorted({path for path in (*LIBRARIES, *python) if Path(path).exists()}, key=len)
    return tuple(path for path in found if not any(Path(path).is_relative_to(o) for o in found if o != path))


def devices() -> tuple[str, ...]:
    """Those that honest code opens by name."""
    return tuple(path for path in DEVICES if Path(path).exists())
