"""Which contexts of knobs are open on a decoder, and which of them the thread that runs it has opened.

Hooks are global to a module, knobs are not: each thread sees the contexts that it has opened itself, and those that it
was handed with a context of its parent's (:func:`contextvars.copy_context`, as asyncio does for tasks and to_thread).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from torch import nn

ITSELF = "changes the model itself (its weights, or how it computes attention)"
COPY = "give each thread a model of its own (copy.deepcopy)"


class ThreadConflict(ValueError):
    """What a thread asks of a model does not go together with what another has open on it; the text says what does."""


@dataclass(eq=False)
class Mark:
    """What a thread that may use a context carries in its :class:`contextvars.Context`, and a copy of that too."""

    alone: bool
    opener: threading.Thread = field(default_factory=threading.current_thread)
    closed: bool = False


@dataclass(eq=False)
class Opened:
    """One context on a decoder and the ``additions`` of its knobs. ``acts``: the decoder gives other results in it.
    ``alone``: it changes the model itself, so that no other thread can use it meanwhile."""

    additions: Any = None
    acts: bool = False
    alone: bool = False
    mark: Callable[[], Mark | None] = lambda: None

    def here(self) -> bool:
        """Say whether the running thread, or task, has opened this or was handed it."""
        return self.mark() in _HERE.get()


@dataclass(eq=False)
class Occupied:
    """What is open on one decoder, by all threads, first to last, and the hook that looks after it. ``late``: marks of
    closed contexts that threads still carry."""

    opened: list[Opened] = field(default_factory=list)
    late: "WeakSet[Mark]" = field(default_factory=WeakSet)
    handle: Any = None


_HERE: ContextVar[tuple[Mark, ...]] = ContextVar("zsc_contexts", default=())
_HIDDEN: ContextVar[tuple[Mark, ...]] = ContextVar("zsc_hidden_contexts", default=())
_OCCUPIED: "WeakKeyDictionary[nn.Module, Occupied]" = WeakKeyDictionary()
_LOCK = threading.Lock()  # for hooks too, whose numbers torch counts without one


@contextmanager
def opened(decoder: nn.Module, new: Opened, hook: Callable[..., Any]) -> Iterator[Opened]:
    """Open ``new`` on ``decoder`` in this thread. ``hook`` is its forward pre-hook while anything is open on it.

    Contexts close in any order. Raises ThreadConflict where this and a context of another thread exclude each other.
    """
    with _LOCK:
        occupied = _OCCUPIED.get(decoder, Occupied())
        _check_alone(new, [one for one in occupied.opened if not one.here()])
        if occupied.handle is None:
            occupied.handle = decoder.register_forward_pre_hook(hook, with_kwargs=True)
            _OCCUPIED[decoder] = occupied
        occupied.opened.append(new)
    mark = Mark(new.alone)
    new.mark = ref(mark)
    _HERE.set((*(one for one in _HERE.get() if not one.closed), mark))
    del mark  # so that only threads hold it
    try:
        yield new
    finally:
        if (own := new.mark()) is not None:
            own.closed = True
            occupied.late.add(own)
        del own
        _HERE.set(tuple(one for one in _HERE.get() if not one.closed))
        with _LOCK:
            occupied.opened.remove(new)
        _sweep(decoder)


def _sweep(decoder: nn.Module) -> None:
    """Take the hook off ``decoder`` if nothing is open on it and no thread carries what was."""
    with _LOCK:
        occupied = _OCCUPIED.get(decoder)
        if occupied is not None and not occupied.opened and not occupied.late:
            occupied.handle.remove()
            del _OCCUPIED[decoder]


def open_here(decoder: nn.Module) -> list[Opened]:
    """Return what this thread has open on ``decoder``, first to last.

    Raises ThreadConflict for a thread that can have neither the plain model nor, without a word, the knobs of another.
    """
    occupied = _OCCUPIED.get(decoder)
    if occupied is None:
        return []
    every = tuple(occupied.opened)
    here = [one for one in every if one.here()]
    others = [one for one in every if one not in here]
    if any(one.alone for one in others):
        raise ThreadConflict(f"another thread has a knob on this model that {ITSELF}: wait until it is off, or {COPY}.")
    this = threading.current_thread()
    _HERE.set(tuple(mark for mark in _HERE.get() if not mark.closed or mark.opener is not this))
    if any(mark.closed and mark in occupied.late for mark in _HERE.get()):
        raise ThreadConflict(
            "the context of knobs that this thread was handed is closed: keep it open until the thread is done (join),"
            " or open `apply` in the thread itself."
        )
    if not here and any(one.acts for one in others):
        raise ThreadConflict(
            "another thread has knobs on this model, and this one has opened none, so it would run without them. For"
            " the plain model, open `with apply(model, []):` in this thread; for knobs, open `apply` in it, or hand it"
            " the context: Thread(target=contextvars.copy_context().run, args=(model.generate, ...))."
        )
    if not every:
        _sweep(decoder)
    return [one for one in here if one.mark() not in _HIDDEN.get()]


def _check_alone(new: Opened, others: list[Opened]) -> None:
    if new.alone and others:
        raise ThreadConflict(
            f"this {ITSELF}, on which another thread has opened `apply`: wait until that is closed, or {COPY}."
        )
    if any(one.alone for one in others):
        raise ThreadConflict(f"another thread has a knob on this model that {ITSELF}: wait until it is off, or {COPY}.")


@contextmanager
def unsteered() -> Iterator[None]:
    """For the while, hide from this thread's decoders what it has open, but for what changes the model itself."""
    token = _HIDDEN.set(tuple(mark for mark in _HERE.get() if not mark.alone))
    try:
        yield
    finally:
        _HIDDEN.reset(token)


@contextmanager
def hooked(register: Callable[[], list[Any]]) -> Iterator[None]:
    """While the context is open, the hooks are on whose handles ``register`` returns."""
    with _LOCK:
        handles = register()
    try:
        yield
    finally:
        with _LOCK:
            for handle in handles:
                handle.remove()
