"""How a process that computes is set up: its threads, its memory, and that it does not outlive who started it."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import threading
import time

import torch

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8


def tune_process(num_threads: int = 1) -> bool:
    """Fix the number of threads, and keep freed memory in the process. Returns whether the memory could be tuned.

    glibc hands every large block back to the operating system and asks for fresh pages at the next operation, which then
    waits for each page to be cleared: on a convolutional net that is most of the time of a forward pass.

    Args:
        num_threads: Of torch. With one thread the same input gives the same bytes.
    """
    torch.set_num_threads(num_threads)
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    # One arena: the heaps of further arenas are small, so large blocks of other threads would be mapped afresh again.
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    return all(libc.mallopt(parameter, value) == 1 for parameter, value in settings)


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone, however it ended.

    Args:
        parent: Process number of who started it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
