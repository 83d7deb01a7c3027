"""The system calls that a guest may make, as a classic BPF program for the kernel's seccomp filter.

A deny-list for which every call up to `NEWEST` was considered; newer ones, other architectures and x32 are refused. A filter cannot
see paths: those are left to Landlock. Source of the layout: linux/seccomp.h (struct seccomp_data), linux/bpf_common.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from .kernel import prctl
from .syscalls import NEWEST, SyscallTable

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
CALL, ARCHITECTURE = 0, 4                                   # offsets into struct seccomp_data
X32 = 0x40000000                                            # numbers from here on belong to another ABI of the same architecture
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]                     # code, jump if true, jump if false, operand

# What pthread_create asks of clone: glibc's flags, and musl's (CLONE_DETACHED added). A thread, never a process.
THREAD_FLAGS = (0x3D0F00, 0x7D0F00)
PRCTL = (3, 15, 16, 21, 23, 39, 0x53564D41)                 # GET_DUMPABLE, SET_NAME, GET_NAME, and questions; SET_VMA names memory
IOCTL = (0x5451, 0x5450, 0x5421, 0x541B, 0x5401, 0x5413)    # FIOCLEX, FIONCLEX, FIONBIO, FIONREAD, TCGETS, TIOCGWINSZ
FCNTL = (8, 15, 10, 1024, 1026, 1031)   # refused: SETOWN, SETOWN_EX, SETSIG (they aim signals), SETLEASE, NOTIFY, SETPIPE_SZ
O_TRUNC, O_ACCMODE = 0o1000, 0o3
AF_UNIX, SOCK_STREAM, TYPE_MASK = 1, 1, 0xF

REFUSED = (
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "process_madvise",
    "process_mrelease", "pidfd_open", "pidfd_getfd", "get_robust_list", "move_pages", "migrate_pages",
    "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
    "socket", "connect", "bind", "listen", "accept", "accept4", "sendmsg", "sendmmsg", "recvmmsg", "setsockopt",
    "truncate", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
    "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "inotify_init", "inotify_init1", "inotify_add_watch",
    "fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "sync", "syncfs", "quotactl", "quotactl_fd",
    "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount",
    "fspick", "mount_setattr",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset",
    "personality", "seccomp", "setpriority", "ioprio_set", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr",
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd",
    "msgrcv", "msgctl", "mq_open", "mq_unlink",
    "bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit", "keyctl", "add_key", "request_key",
    "userfaultfd", "perf_event_open", "lookup_dcookie", "syslog", "acct", "swapon", "swapoff", "reboot", "sethostname",
    "setdomainname", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "settimeofday",
    "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm", "modify_ldt", "uselib", "ustat", "sysfs", "vhangup", "_sysctl",
    "remap_file_pages", "mbind", "set_mempolicy", "vmsplice", "splice", "tee",
)
# As on a file system without extended attributes, so that `shutil.copy2` continues.
UNSUPPORTED = ("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
               "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr")
MISSING = ("clone3", "openat2")     # a filter cannot read arguments in memory; libc then uses the older call


def filter_for(architecture: SyscallTable, pid: int, allowed: tuple[str, ...] = ()) -> list[Instruction]:
    """The filter for a guest whose process is `pid`. `allowed`: calls that are permitted although they are in REFUSED."""
    return [
        _load(ARCHITECTURE), (EQUAL, 1, 0, architecture.audit), _end(KILL),
        _load(CALL), (AT_LEAST, 0, 1, X32), _end(KILL), (AT_LEAST, 0, 1, NEWEST + 1), _end(ERRNO | errno.ENOSYS),
        *_rules(architecture, pid, allowed),
        _end(ALLOW),
    ]


def install(architecture: SyscallTable, pid: int, allowed: tuple[str, ...] = ()) -> None:
    """Apply the filter irrevocably to this thread and all it starts. Needs no_new_privs. Raises LockdownFailed if it cannot be applied."""
    install_program(filter_for(architecture, pid, allowed))


def install_program(program: list[Instruction]) -> None:
    """Apply a filter program. Raises LockdownFailed."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(program), ctypes.addressof(memory))
    holder = ctypes.create_string_buffer(head, len(head))
    prctl("seccomp", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(holder))


def _rules(architecture: SyscallTable, pid: int, allowed: tuple[str, ...]) -> Iterator[Instruction]:
    refused = _end(ERRNO | errno.EPERM)
    conditional = {
        "clone": _only(0, THREAD_FLAGS),
        "kill": _only(0, (pid,)),
        "tgkill": _only(0, (pid,)),
        "prlimit64": _only(0, (0, pid)),
        "prctl": _only(0, PRCTL),
        "fallocate": _only(1, (0,)),                              # other modes allocate blocks that the file's size does not show
        "ioctl": _only(1, IOCTL),
        "fcntl": [_load(_argument(1)), *(step for command in FCNTL for step in ((EQUAL, 0, 1, command), refused)), _end(ALLOW)],
        "socketpair": [_load(_argument(0)), (EQUAL, 1, 0, AF_UNIX), refused,      # asyncio's wake-up pipe
                       _load(_argument(1)), (AND, 0, 0, TYPE_MASK), (EQUAL, 1, 0, SOCK_STREAM), refused, _end(ALLOW)],
        "sendto": [_load(_argument(4)), (EQUAL, 1, 0, 0), refused,                # through a socket pair, without an address
                   _load(_argument(4) + 4), (EQUAL, 1, 0, 0), refused, _end(ALLOW)],
        "open": _opened(1), "openat": _opened(2),
    }
    for name, body in conditional.items():
        for number in architecture.numbers_of((name,)):
            yield from _when(number, body)
    for names, code in ((REFUSED, errno.EPERM), (UNSUPPORTED, errno.EOPNOTSUPP), (MISSING, errno.ENOSYS)):
        for number in architecture.numbers_of(tuple(name for name in names if name not in allowed)):
            yield from _when(number, [_end(ERRNO | code)])


def _opened(flags_at: int) -> list[Instruction]:
    """Refuse truncation without write access, and access mode 3: Landlock before ABI 3 permits both."""
    refused = _end(ERRNO | errno.EPERM)
    flags = _load(_argument(flags_at))
    return [flags, (AND, 0, 0, O_TRUNC | O_ACCMODE), (EQUAL, 0, 1, O_TRUNC | os.O_RDONLY), refused,
            flags, (AND, 0, 0, O_ACCMODE), (EQUAL, 0, 1, O_ACCMODE), refused, _end(ALLOW)]


def _only(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow these values of an `int` argument (the kernel reads only its lower half), refuse all others."""
    allowed = [step for value in values for step in ((EQUAL, 0, 1, value), _end(ALLOW))]
    return [_load(_argument(argument)), *allowed, _end(ERRNO | errno.EPERM)]


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Apply `body` to one call. Every path through it must return, because the call's number is no longer loaded after it."""
    return [(EQUAL, 0, len(body), number), *body]


def _argument(index: int) -> int:
    return 16 + 8 * index       # the lower half: both architectures are little-endian


def _load(offset: int) -> Instruction:
    return (LOAD, 0, 0, offset)


def _end(verdict: int) -> Instruction:
    return (RETURN, 0, 0, verdict)
