"""Logits that are not finite, which no measure of a model survives."""

import torch

ADVICE = "Half precision may overflow (use model.dtype=bfloat16 or float32), or the weights are not finite."


class NotFinite(ValueError):
    """A model gives logits that are not finite; the text says where."""


def check_finite(logits: torch.Tensor, where: str) -> None:
    """Raise NotFinite, naming the first row and decoding step, unless what ``logits`` (rows, steps, vocabulary) hold
    is finite. ``where`` ends the sentence "the logits are not finite". A logit of minus infinity, which rules a token
    out, is allowed beside finite ones.
    """
    wrong = logits.isnan() | (logits == torch.inf)
    faulty = wrong.any(dim=-1) | (logits == -torch.inf).all(dim=-1)
    if bool(faulty.any()):
        row, step = faulty.nonzero()[0].tolist()
        raise NotFinite(f"the logits are not finite {where} (row {row}, decoding step {step}). {ADVICE}")
