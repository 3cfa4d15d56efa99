"""Settings of the whole process that make steps faster: memory, cuDNN, the compiler's cache."""

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache

import torch

from ktgdsl.files import cache_root

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_LARGEST_HEAP_BLOCK = 32 << 20
"""Bytes up to which a block is on the heap, not mapped on its own: all that glibc allows."""
_NEVER_TRIM = -1
"""The value of M_TRIM_THRESHOLD by which glibc never returns free heap to the system."""


@cache
def keep_freed_pages() -> bool:
    """Let glibc keep the memory that a step frees for the next one; False without glibc.

    By default each large tensor is mapped anew, and the system clears its pages every time.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    settings = {
        _M_MMAP_THRESHOLD: _LARGEST_HEAP_BLOCK,
        _M_TRIM_THRESHOLD: _NEVER_TRIM,
        # What one network has freed another may take: no heap for each of their threads.
        _M_ARENA_MAX: 1,
    }
    return all(mallopt(name, value) for name, value in settings.items())


def choose_convolutions_by_time(device: torch.device) -> None:
    """Let cuDNN time its algorithms at the first step: later batches have the same shape."""
    if device.type == "cuda" and not torch.are_deterministic_algorithms_enabled():
        torch.backends.cudnn.benchmark = True


def keep_compiled_code() -> None:
    """Let torch.compile cache in our cache folder: its own default is a temporary folder."""
    with suppress(RuntimeError):  # there may be no home
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_root() / "compiled"))
