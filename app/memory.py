"""Makes a serving process return memory to the system after it has handled something large."""

import ctypes
import gc
from contextlib import suppress

# Options of glibc's mallopt.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 128 * 1024


def give_memory_back() -> None:
    """Call it once, when everything is loaded.

    When large blocks are freed, glibc raises its thresholds and then keeps blocks of that size in each thread's arena.
    A threshold that was set stays fixed. Other C libraries have no mallopt.

    Objects that exist now are left out of garbage collections, which makes collections cheap, so they can be frequent.
    A large body stays in memory until the reference cycle around it is collected.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)
    gc.collect()
    gc.freeze()
