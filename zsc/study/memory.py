"""How much memory this process has taken."""

import resource
import sys

import torch


def peak_megabytes() -> int:
    """Return the peak resident memory of this process in units of 2**20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kilobytes, on macOS in bytes
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def device_peak_megabytes() -> int | None:
    """Return the peak memory of tensors on the GPU in units of 2**20 bytes; None without one."""
    return torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else None
