"""What a training says while it goes on: loss, speed, time left, and reconstruction of held-out text."""

import time
from datetime import timedelta
from typing import Any

import sacrebleu
import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

from zsc.terminal import say
from zsc.training.segments import pad_right, wrap


class StepLines(TrainerCallback):
    """One line on stderr per log: step, loss or metrics, and the estimated time to the end."""

    def __init__(self) -> None:
        self.started, self.first_step = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        steps = state.global_step - self.first_step
        remaining = "-"
        if steps:
            seconds = (time.monotonic() - self.started) / steps * (state.max_steps - state.global_step)
            remaining = str(timedelta(seconds=round(seconds)))
        shown = {k: v for k, v in (logs or {}).items() if k in SHOWN}
        if shown:
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
            say(f"step {state.global_step}/{state.max_steps}  {numbers}  left {remaining}")


SHOWN = {"loss", "learning_rate", "eval_loss", "train_runtime"}


class Reconstruction(TrainerCallback):
    """After each evaluation, give held-out segments uncorrupted to the model and score what comes back.

    A low loss does not show that the model learnt to copy; BLEU of the greedy output does.
    """

    def __init__(self, segments: list[list[int]], tokenizer: PreTrainedTokenizerBase):
        self.segments, self.tokenizer = segments, tokenizer

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        bleu = reconstruction_bleu(*reconstruct(kwargs["model"], self.tokenizer, self.segments))
        kwargs["metrics"]["eval_reconstruction_bleu"] = bleu
        state.log_history.append({"step": state.global_step, "eval_reconstruction_bleu": bleu})
        say(f"step {state.global_step}  held-out reconstruction BLEU {bleu:.1f}")


@torch.no_grad()
def reconstruct(
    model: Any, tokenizer: PreTrainedTokenizerBase, segments: list[list[int]], batch_size: int = 64
) -> tuple[list[str], list[str]]:
    """Return the greedy outputs of ``model`` for uncorrupted token id ``segments``, and the texts of these."""
    was_training = model.training
    model.eval()
    outputs: list[str] = []
    for start in range(0, len(segments), batch_size):
        batch = segments[start : start + batch_size]
        sources = pad_right([wrap(segment, tokenizer) for segment in batch], tokenizer.pad_token_id).to(model.device)
        generated = model.generate(
            input_ids=sources,
            attention_mask=(sources != tokenizer.pad_token_id).long(),
            max_new_tokens=max(map(len, batch)) + 2,
            do_sample=False,
            num_beams=1,
        )
        outputs += tokenizer.batch_decode(generated, skip_special_tokens=True)
    model.train(was_training)
    return outputs, tokenizer.batch_decode(segments, skip_special_tokens=True)


def reconstruction_bleu(outputs: list[str], originals: list[str]) -> float:
    """Return the corpus BLEU (sacrebleu) of ``outputs`` against ``originals``, from 0 to 100."""
    return float(sacrebleu.corpus_bleu(outputs, [originals]).score)
