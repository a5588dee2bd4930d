"""How much memory this process has taken."""

import resource
import sys


def peak_megabytes() -> int:
    """Return the peak resident memory of this process in units of 2**20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kilobytes, on macOS in bytes
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
