"""How a process that serves gives memory back after it has worked on something large."""

import ctypes
import gc
from contextlib import suppress

# Of glibc's mallopt.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 128 * 1024


def give_memory_back() -> None:
    """Call it once, when everything is loaded.

    glibc raises its thresholds with the first large blocks that are freed, and then keeps blocks of that size in the
    arenas of each thread; a threshold that was set stays as it is. Other C libraries have no mallopt. What was loaded
    until now is left out of garbage collections, so that they are cheap and come often: a large body stays in memory as
    long as the cycle that refers to it.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)
    gc.collect()
    gc.freeze()
