"""The system calls that an answer may not make: to start or touch processes, to reach a network, to change what
files may do, to leave anything behind in the kernel. Nor may it make folders and links: its folder stays flat.

A filter of seccomp needs no privilege, no library and no binary, only the numbers of this machine's calls.
"""

import ctypes
import os
import struct

from . import kernel

PR_SET_SECCOMP = 22
MODE_FILTER = 2
CLONE_THREAD = 0x10000
SOCK_STREAM = 1
EPERM, ENOSYS = 1, 38
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000
# Where seccomp_data has them; the low half of an argument on a little-endian machine.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24
# Calls of x86-64 for programs with 32-bit pointers.
X32 = 0x40000000

# The same on every architecture: what was added since Linux 5.1.
RECENT = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "fsopen": 430, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440,
    "process_mrelease": 448, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
}  # fmt: skip
NUMBERS = {
    "x86_64": {
        "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
        "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "prlimit64": 302,
        "setpriority": 141, "ioprio_set": 251, "sched_setparam": 142, "sched_setscheduler": 144,
        "sched_setaffinity": 203, "sched_setattr": 314, "migrate_pages": 256, "move_pages": 279,
        "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50,
        "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
        "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
        "mkdir": 83, "mkdirat": 258, "mknod": 133, "mknodat": 259,
        "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266,
        "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240,
        "add_key": 248, "request_key": 249, "keyctl": 250,
        "unshare": 272, "setns": 308, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    },
    "aarch64": {
        "clone": 220, "execve": 221, "execveat": 281,
        "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "prlimit64": 261,
        "setpriority": 140, "ioprio_set": 30, "sched_setparam": 118, "sched_setscheduler": 119,
        "sched_setaffinity": 122, "sched_setattr": 274, "migrate_pages": 238, "move_pages": 239,
        "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "listen": 201,
        "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54, "utimensat": 88,
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
        "mkdirat": 34, "mknodat": 33, "linkat": 37, "symlinkat": 36,
        "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180,
        "add_key": 217, "request_key": 218, "keyctl": 219,
        "unshare": 97, "setns": 268, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
    },
}  # fmt: skip
AUDIT_NAMES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

Instruction = tuple[int, int, int, int]


def forbid_calls() -> None:
    """Puts the filter over this thread and all that it starts. Wants `kernel.give_up_privileges` before it."""
    machine = os.uname().machine
    if machine not in NUMBERS:
        raise OSError(ENOSYS, f"no list of system calls for {machine}")
    program = b"".join(struct.pack("<HBBI", *line) for line in _program(machine))
    lines = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(lines))
    pointer = ctypes.create_string_buffer(header, len(header))
    kernel.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.addressof(pointer))


def _program(machine: str) -> list[Instruction]:
    """The filter in classic BPF: (operation, lines to skip if true, if false, value)."""
    numbers = NUMBERS[machine] | RECENT
    special = {
        # Threads are allowed, processes are not.
        "clone": [(LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 0, 1, CLONE_THREAD)],
        # Its own limits, and nobody else's.
        "prlimit64": [(LOAD, 0, 0, FIRST_ARGUMENT), (EQUAL, 0, 1, 0)],
        # asyncio wakes itself by such a pair, which cannot be connected to anything else.
        "socketpair": [(LOAD, 0, 0, SECOND_ARGUMENT), (AND, 0, 0, 0xF), (EQUAL, 0, 1, SOCK_STREAM)],
    }
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_NAMES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, FAIL | EPERM),
    ]
    for name, number in numbers.items():
        body = [*special[name], (RETURN, 0, 0, ALLOW)] if name in special else []
        # Libraries fall back to clone where clone3 is said not to exist.
        body.append((RETURN, 0, 0, FAIL | (ENOSYS if name == "clone3" else EPERM)))
        lines += [(EQUAL, 0, len(body), number), *body]
    return [*lines, (RETURN, 0, 0, ALLOW)]
