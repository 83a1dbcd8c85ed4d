"""A root folder of its own: what Python needs, read-only, and an empty /tmp in memory.

Called by the first process of new user, mount, pid, network, ipc and host-name namespaces.
"""

# pathlib would cost every run some milliseconds; os is loaded anyway.
# ruff: noqa: PTH102, PTH103, PTH112, PTH114, PTH115, PTH120, PTH211

import os
import struct
from collections.abc import Sequence

from . import kernel

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
READ_ONLY, NOSUID, NODEV = 1, 2, 4
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def enter(place: str, readable: Sequence[str], devices: Sequence[str], max_bytes: int) -> None:
    """Makes `place` the root, with `readable` and `devices` of the old one; the rest is out of reach for good."""
    kernel.mount("none", "/", "", MS_REC | MS_PRIVATE)
    kernel.mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in readable:
        _show(place, path)
        _seal(place + path, READ_ONLY | NOSUID | NODEV)
    for path in devices:
        _show(place, path)
    os.mkdir(place + "/tmp")
    os.chdir(place)
    kernel.syscall(PIVOT_ROOT[os.uname().machine], b".\0", b".\0")
    kernel.unmount(".", MNT_DETACH)
    os.chdir("/")
    kernel.mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"size={max_bytes},nr_inodes=2000,mode=700")
    _seal("/", READ_ONLY | NOSUID | NODEV, recursive=False)


def _show(place: str, path: str) -> None:
    """The same path in the new root: a link as a link, anything else as a view of the old one."""
    target = place + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    kernel.mount(path, target, "", MS_BIND | MS_REC)


def _seal(target: str, attributes: int, recursive: bool = True) -> None:
    if os.path.islink(target):
        return
    change = struct.pack("<QQQQ", attributes, 0, 0, 0)
    depth = AT_RECURSIVE if recursive else 0
    kernel.syscall(MOUNT_SETATTR, AT_FDCWD, target.encode() + b"\0", depth, change, len(change))
