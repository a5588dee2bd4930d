"""Who may use a model: many threads at once, or one alone whose knobs change the model itself."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Gate:
    """Lets threads in as they come; one that wants to be alone waits until those before it are out, and those behind it
    wait for it."""

    def __init__(self) -> None:
        self._turn, self._left, self._inside = threading.Lock(), threading.Condition(), 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._turn, self._left:
            self._inside += 1
        try:
            yield
        finally:
            with self._left:
                self._inside -= 1
                self._left.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._turn:
            with self._left:
                self._left.wait_for(lambda: not self._inside)
            yield


_GATES: "WeakKeyDictionary[PreTrainedModel, Gate]" = WeakKeyDictionary()
_LOCKS: "WeakKeyDictionary[PreTrainedTokenizerBase, threading.RLock]" = WeakKeyDictionary()
_NEW = threading.Lock()


@contextmanager
def admitted(alone: Sequence[PreTrainedModel], shared: Sequence[PreTrainedModel]) -> Iterator[None]:
    """Open a context in which no other thread is in one with the models ``alone``, nor alone with those ``shared``."""
    with ExitStack() as stack:
        for model in sorted({*alone, *shared}, key=id):  # in one order, so that no two threads wait for each other
            with _NEW:
                gate = _GATES.setdefault(model, Gate())
            stack.enter_context(gate.alone() if model in alone else gate.shared())
        yield


def lock_of(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the lock under which ``tokenizer`` is used."""
    with _NEW:
        return _LOCKS.setdefault(tokenizer, threading.RLock())


class OneAtATime:
    """A tokenizer for knobs, whose calls wait for each other: how it pads is a state of it, which each call sets."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._own, self._lock = tokenizer, lock_of(tokenizer)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return self._own(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)
