"""Numbers that are not finite, found while responses are made, and the record and step where they begin."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from zsc.errors import ZscError
from zsc.knobs.finite import ADVICE
from zsc.knobs.reading import Reading


def check_reading(reading: Reading, ids: Sequence[str]) -> None:
    """Raise ZscError, naming the first record of ``ids``, if what was read at an attended position is not finite."""
    if (rows := reading.unsound().nonzero()).numel():
        what = f"its {reading.called} are not finite ({reading.model.dtype})"
        raise ZscError(f"record {ids[int(rows[0])]}: {what}. {ADVICE}")


def check_likelihoods(nll: torch.Tensor, ids: Sequence[str]) -> None:
    """Raise ZscError, naming the first record of ``ids``, if a likelihood (batch,) is not finite."""
    if (rows := (~torch.isfinite(nll)).nonzero()).numel():
        raise ZscError(
            f"record {ids[int(rows[0])]}: the unmodified model's likelihood of the response is not finite. {ADVICE}"
        )


def check_logits(logits: torch.Tensor, steps: torch.Tensor, whose: Callable[[int], tuple[str, str]]) -> None:
    """Raise ZscError if ``logits`` (rows, vocabulary), the model's own at ``steps`` (rows,), are not finite.

    It names record and setting, as ``whose`` row they are. Minus infinity, which rules a token out, is allowed beside
    finite ones.
    """
    highest = logits.amax(dim=-1)  # NaN where one is, infinite where one is or all are
    if not bool(torch.isfinite(highest).all()):
        row = int((~torch.isfinite(highest)).nonzero()[0])
        record, name = whose(row)
        raise ZscError(
            f"record {record}: the logits are not finite at decoding step {int(steps[row])}"
            f" {f'with {name}' if name else 'of the unmodified model'} ({logits.dtype}). {ADVICE}"
        )


@contextmanager
def finite_logits(model: nn.Module, ids: Sequence[str], settings: Sequence[str]) -> Iterator[None]:
    """While the context is open, raise ZscError as soon as ``model`` gives logits that are not finite.

    Each decoding step must be one call of the model, whose rows are, for each of ``settings``, those of the records
    ``ids``, each of them once or once a beam. A logit of minus infinity, which rules a token out, is allowed beside
    finite ones. The logits are the model's own, before any processor.
    """
    step = 0

    def check(module: nn.Module, arguments: Any, output: Any) -> None:
        nonlocal step

        def whose(row: int) -> tuple[str, str]:
            example = row * len(ids) * len(settings) // len(output.logits)
            return ids[example % len(ids)], settings[example // len(ids)]

        check_logits(output.logits[:, -1], torch.full((len(output.logits),), step), whose)
        step += 1

    handle = model.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
