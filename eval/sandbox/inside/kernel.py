"""The system calls that the standard library has no name for: prctl, capset, mounts."""

import ctypes
import os
import struct

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
SIGKILL = 9

# On LP64 machines a syscall takes longs; without the type ctypes would pass an int.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """The result of a system call; OSError with its errno where it failed."""
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *longs))
    if result < 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    return result


def prctl(option: int, value: int = 0, pointer: int = 0) -> None:
    """One setting of this process."""
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    words = [word.encode() if word else None for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None):
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem), target)


def unmount(target: str, flags: int) -> None:
    """umount2(2)."""
    if _libc.umount2(target.encode(), flags):
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem), target)


def give_up_privileges() -> None:
    """No capability now, and none by running another program; nobody may look into this process's memory."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
    if _libc.capset(ctypes.create_string_buffer(header), ctypes.create_string_buffer(24)):
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))
    prctl(PR_SET_DUMPABLE, 0)
    # After the change of capabilities, which forgets it.
    prctl(PR_SET_PDEATHSIG, SIGKILL)
