"""What a judge is, and judging that is never done twice or lost."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

from zsc.errors import ZscError
from zsc.files import append, drop_partial_line

Values = list[float] | None  # None: the judge has no value for a text


class Judge(Protocol):
    """A neural model that gives numbers to texts, each text by itself."""

    columns: tuple[str, ...]

    @property
    def signature(self) -> str:
        """What the numbers depend on beside the text."""

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        """Split ``texts`` into batches of similar length."""

    def judge(self, batch: list[str]) -> list[Values]:
        """Return the numbers of each text, one per column; None for a text that has none."""


def judged(judge: Judge, texts: Iterable[str], folder: Path, advance: Callable[[int], None]) -> dict[str, Values]:
    """Return what ``judge`` says of each of ``texts``.

    Values are kept in a file of ``folder``, named after the judge's signature, as they come: what is there is not
    judged again, and a stopped pass goes on. Numbers that are not finite become None. ``advance`` is told how many
    texts are ready.
    """
    file = folder / f"judged-{judge.columns[0]}-{hashlib.sha256(judge.signature.encode()).hexdigest()[:10]}.jsonl"
    drop_partial_line(file)
    known = _read(file)
    wanted = dict.fromkeys(texts)
    missing = [text for text in wanted if text not in known]
    advance(len(wanted) - len(missing))
    append(file, "")
    for batch in judge.batches(missing) if missing else []:
        values = [_finite(one) for one in judge.judge(batch)]
        known |= zip(batch, values, strict=True)
        append(file, "".join(_line(text, one) for text, one in zip(batch, values, strict=True)))
        advance(len(batch))
    return {text: known[text] for text in wanted}


def fingerprint(model: torch.nn.Module) -> str:
    """Return the first 12 digits of the SHA-256 over the names and bytes of a model's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]


def check_complete(setting: str, loading: dict[str, Any]) -> None:
    """Raise ZscError if transformers' ``loading`` info says that a checkpoint lacks weights of the model.

    The library would make them up at random.
    """
    if lacking := sorted(loading["missing_keys"]):
        raise ZscError(
            f"{setting} is no such model: its checkpoint lacks {len(lacking)} of its weights, such as {lacking[0]}."
        )


def digest(texts: Sequence[str]) -> str:
    """Return how many ``texts`` there are and the first 8 digits of their SHA-256."""
    return f"{len(texts)}-{hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:8]}"


def by_length(texts: Sequence[str], lengths: Sequence[int], budget: int) -> Iterable[list[str]]:
    """Yield batches of ``texts`` in the order of their ``lengths``, padded to at most ``budget`` units in all."""
    batch: list[str] = []
    for i in sorted(range(len(texts)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[i] > budget:
            yield batch
            batch = []
        batch.append(texts[i])
    if batch:
        yield batch


def _read(file: Path) -> dict[str, Values]:
    """Return what is kept in ``file``; a line that cannot be read is judged again."""
    known: dict[str, Values] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        with suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            known[row["text"]] = row["values"]
    return known


def _line(text: str, values: Values) -> str:
    return json.dumps({"text": text, "values": values}) + "\n"


def _finite(values: Values) -> Values:
    return values if values is not None and all(math.isfinite(value) for value in values) else None
