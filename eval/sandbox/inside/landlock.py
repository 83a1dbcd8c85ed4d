"""Landlock: from here on this process reads what Python needs, writes its own folder, and nothing else.

Needs Linux 5.13 and no privilege. From 6.7 on it also refuses TCP, from 6.12 on signals and abstract sockets of
others; the rest (UDP, other sockets, signals before 6.12, modes and times of files) is forbidden by `seccomp`. What
it cannot hide is that a file exists and how large it is.
"""

# pathlib would cost every run some milliseconds; os is loaded anyway.
# ruff: noqa: PTH112

import os
import struct
from collections.abc import Sequence

from . import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_FILE, TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8, 1 << 14
READ = READ_FILE | READ_DIR
CHANGE = READ | WRITE_FILE | REMOVE_FILE | MAKE_FILE | TRUNCATE
# The others are rights over what is in a folder.
OF_FILES = WRITE_FILE | READ_FILE | TRUNCATE
# How many rights of files each version knows (moving from 2, truncating from 3, devices from 5 on).
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP_BIND_AND_CONNECT = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


def version() -> int:
    """Of Landlock in this kernel; OSError where there is none or it is switched off."""
    return kernel.syscall(CREATE_RULESET, 0, 0, ASK_VERSION)


def confine(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Leaves this thread and all that it starts only these paths. Wants `kernel.give_up_privileges` before it."""
    known = version()
    handled = (1 << RIGHTS[min(known, max(RIGHTS))]) - 1
    network = TCP_BIND_AND_CONNECT if known >= 4 else 0
    scoped = ABSTRACT_SOCKETS_AND_SIGNALS if known >= 6 else 0
    # Older kernels know a shorter structure, and accept a longer one whose rest is zero.
    attributes = struct.pack("<QQQ", handled, network, scoped)
    ruleset = kernel.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    for paths, rights in ((readable, READ), (writable, CHANGE)):
        for path in paths:
            _allow(ruleset, path, rights & handled)
    kernel.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    of_kind = rights if os.path.isdir(path) else rights & OF_FILES
    kernel.syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("<Qi", of_kind, handle), 0)
    os.close(handle)
