"""Numbers of system calls by name: x86-64 (asm/unistd_64.h) and aarch64 (asm-generic/unistd.h). None: not on that architecture."""

from __future__ import annotations

import platform
from dataclasses import dataclass

NEWEST = 449  # futex_waitv, the last call considered here; later ones do not exist for a guest


@dataclass(frozen=True, slots=True)
class SyscallTable:
    name: str
    audit: int                  # AUDIT_ARCH_* of linux/audit.h, which the filter checks
    numbers: dict[str, int]

    def numbers_of(self, names: tuple[str, ...]) -> list[int]:
        return [self.numbers[name] for name in names if name in self.numbers]


_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # processes and programs
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "clone3": (435, 435),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "get_robust_list": (274, 100), "move_pages": (279, 239), "migrate_pages": (256, 238),
    # signals
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    # the network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269), "recvmmsg": (299, 243),
    "setsockopt": (54, 208),
    # files, where Landlock does not apply
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "truncate": (76, 45),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11),
    "llistxattr": (195, 12), "flistxattr": (196, 13), "fallocate": (285, 47),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fcntl": (72, 25), "ioctl": (16, 29), "sync": (162, 81), "syncfs": (306, 267), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442),
    # identity and priority
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147),
    "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91),
    "prctl": (157, 167), "personality": (135, 92), "seccomp": (317, 277), "prlimit64": (302, 261), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    # memory that no limit covers
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # large parts of the kernel's attack surface that a program of this kind never needs
    "bpf": (321, 280), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "lookup_dcookie": (212, 18), "syslog": (103, 116), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "vhangup": (153, 58), "_sysctl": (156, None), "remap_file_pages": (216, 234),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "vmsplice": (278, 75), "splice": (275, 76), "tee": (276, 77),
}


def _table(name: str, audit: int, column: int) -> SyscallTable:
    pairs = ((call, numbers[column]) for call, numbers in _NUMBERS.items())
    return SyscallTable(name, audit, {call: number for call, number in pairs if number is not None})


SYSCALL_TABLES = {"x86_64": _table("x86_64", 0xC000003E, 0), "aarch64": _table("aarch64", 0xC00000B7, 1)}


def this_syscall_table() -> SyscallTable | None:
    """Return the table for this machine, or None: then no filter can be built and there is no jail."""
    return SYSCALL_TABLES.get(platform.machine())
