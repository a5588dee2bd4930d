"""Language models in GGUF files: transformers reads them, which takes the package gguf."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any

import transformers

from zsc.install import check_installed
from zsc.models.local import GGUF

LIBRARY = "transformers.modeling_gguf_pytorch_utils"
_LOCK = RLock()


def source_of(place: Path) -> tuple[Path, dict[str, Any]]:
    """Return how transformers is told of a checkpoint: its folder, and of a GGUF file the name in it."""
    return (place.parent, {"gguf_file": place.name}) if place.suffix == GGUF else (place, {})


def unpacked(place: Path) -> dict[str, Any]:
    """Return the options by which the weights of a GGUF file are dequantised whatever else is installed."""
    config: Any = getattr(transformers, "GgufConfig", None)  # of versions that may leave them packed
    return {} if place.suffix != GGUF or config is None else {"quantization_config": config(dequantize=True)}


@contextmanager
def read_once(place: Path, what: str) -> Iterator[None]:
    """While the context is open, what transformers does over and over with the GGUF file ``place`` is done once, and no
    bar drawn: the file is parsed for its configuration, its tokenizer and its weights, and the table of names is made
    for every module of the model. For any other checkpoint nothing changes.

    Raises ZscError, which begins with ``what``, where the package gguf is missing.
    """
    if place.suffix != GGUF:
        yield
        return
    check_installed("gguf", "gguf", what)
    made: dict[tuple[str, str], Callable[[Any], Any]] = {
        ("gguf", "GGUFReader"): cache,
        ("gguf", "get_tensor_name_map"): cache,
        (LIBRARY, "tqdm"): lambda bar: lambda items, **options: items,
    }
    with _LOCK:  # or else two threads would put back each other's
        kept = [(import_module(module), name, new) for (module, name), new in made.items()]
        own = [getattr(module, name) for module, name, _ in kept]
        try:
            for (module, name, new), one in zip(kept, own, strict=True):
                setattr(module, name, new(one))
            yield
        finally:
            for (module, name, _), one in zip(kept, own, strict=True):
                setattr(module, name, one)
