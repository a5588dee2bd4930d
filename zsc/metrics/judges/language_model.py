"""Fluency: likelihood under a causal language model."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zsc.errors import ZscError
from zsc.metrics.judges.base import Values, by_length
from zsc.metrics.judges.checkpoint import find_judge, fingerprint
from zsc.models.gguf import read_once
from zsc.models.load import resolve_device
from zsc.models.pretrained import read_model, read_tokenizer
from zsc.models.tokens import check_vocabulary

BUDGET = 2048  # tokens of a padded batch, which bounds the memory of its logits


class LanguageModel:
    """Negative log-likelihood (nats) of a text read alone after the begin token, and its number of tokens.

    The end of the text is not predicted [D]. A text longer than the model's window is read in windows that overlap by
    half, each token being scored once, with at least half a window before it [D]. An empty text has no likelihood.
    """

    columns: tuple[str, ...] = ("judge_nll", "judge_tokens")

    def __init__(self, name: str, device: str):
        from transformers import AutoModelForCausalLM

        what = f"judges.language_model={name}"
        place = find_judge(what, name, "a causal language model")
        with read_once(place, what):
            model = read_model(AutoModelForCausalLM, place, what, dtype=torch.float32)
            self.tokenizer = read_tokenizer(place, what)
        check_vocabulary(what, self.tokenizer, model.get_input_embeddings())
        self.model = model.eval().to(resolve_device(device))
        self.name, self.fingerprint = Path(name).name, fingerprint(model)
        self.window = getattr(self.model.config, "max_position_embeddings", None) or 2**31
        begin = self.tokenizer.bos_token_id
        self.begin = self.tokenizer.eos_token_id if begin is None else begin
        if self.begin is None:
            raise ZscError(f"judges.language_model={name} has neither a begin nor an end token to read a text after.")

    @property
    def signature(self) -> str:
        return f"model:{self.name}|weights:{self.fingerprint}|fp32|window:{self.window}"

    @property
    def networks(self) -> Sequence[nn.Module]:
        return (self.model,)

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        ids = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return by_length(texts, [1 + len(one) for one in ids], BUDGET)

    def judge(self, batch: list[str]) -> list[Values]:
        ids = self.tokenizer(batch, add_special_tokens=False)["input_ids"]
        parts = [
            (i, *part) for i, one in enumerate(ids) for part in windows([self.begin, *one], self.window) if len(one)
        ]
        nll = [0.0] * len(batch)
        for start in range(0, len(parts), len(batch)):
            some = parts[start : start + len(batch)]
            for (i, *_), value in zip(some, self._nll([part for _, *part in some]), strict=True):
                nll[i] += value
        return [[value, len(one)] if one else None for value, one in zip(nll, ids, strict=True)]

    @torch.inference_mode()
    def _nll(self, parts: Sequence[Sequence[Any]]) -> list[float]:
        """Return the nats of the last ``scored`` tokens of each (ids, scored)."""
        longest, device = max(len(ids) for ids, _ in parts), self.model.device
        padded = torch.tensor([[*ids, *[self.begin] * (longest - len(ids))] for ids, _ in parts], device=device)
        position = torch.arange(longest, device=device)
        lengths = torch.tensor([len(ids) for ids, _ in parts], device=device)[:, None]
        scored = torch.tensor([scored for _, scored in parts], device=device)[:, None]
        mask = position < lengths
        logits = self.model(input_ids=padded, attention_mask=mask.long()).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), padded[:, 1:], reduction="none")
        wanted = (mask & (position >= lengths - scored))[:, 1:]
        return torch.where(wanted, losses, 0.0).double().sum(dim=1).tolist()


def windows(ids: list[int], size: int) -> list[tuple[list[int], int]]:
    """Split ``ids``, a begin token and a text, into (window, number of tokens to score at its end)."""
    parts = [(ids[:size], len(ids[:size]) - 1)]
    end = size
    while end < len(ids):
        step = min(max(size // 2, 1), len(ids) - end)
        end += step
        parts.append((ids[end - size : end], step))
    return parts
