"""Ctrl-C where libraries would turn it into an error of their own, and what else asks a process to end."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold back an interrupt until the context closes, as around imports, which cannot be stopped half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if noted:
        raise KeyboardInterrupt


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Make of SIGTERM, as schedulers send it, the end of the program by an exception, so that what is open is closed;
    its status is that of a process that the signal ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
