"""Train an encoder-decoder with the Hugging Face Trainer, from nothing or from a checkpoint, with resume."""

import json
import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from zsc.errors import ZscError
from zsc.files import remove_folder
from zsc.models.files import TARGET_TOKENIZER
from zsc.models.pretrained import read_model
from zsc.terminal import say
from zsc.training.callbacks import StepLines
from zsc.training.measure import StepTimes, optimiser_bytes


def new_model(tokenizer: PreTrainedTokenizerBase, architecture: str, config_values: dict[str, Any]) -> PreTrainedModel:
    """Return a randomly initialised encoder-decoder of a Hugging Face model type, sized for ``tokenizer``."""
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
        **config_values,
    )
    return AutoModelForSeq2SeqLM.from_config(config)


def wants_bf16(precision: str) -> bool:
    """Resolve ``precision`` (auto, fp32 or bf16). ``auto`` takes bf16 only where the hardware computes it."""
    if precision == "auto":
        if torch.cuda.is_available():
            return torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if precision not in ("fp32", "bf16"):
        raise ZscError(f"precision={precision} is not one of auto, fp32, bf16.")
    return precision == "bf16"


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest complete checkpoint of a run; one that a kill left half-written is removed.

    The Trainer writes ``trainer_state.json`` last, so that file, if it is whole, marks a complete checkpoint.
    """
    checkpoints = sorted(output.glob("checkpoint-*[0-9]"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
    while checkpoints:
        newest = checkpoints.pop()
        if is_whole(newest / "trainer_state.json"):
            return newest
        say(f"removing half-written {newest}")
        remove_folder(newest)
    return None


def is_whole(file: Path) -> bool:
    """Say whether ``file`` is there and holds JSON to its end."""
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Prepared:
    """A model and all it is trained and checked with. ``new`` are parameters that make no sense until they train."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    train_data: Any
    heldout: Any
    collator: Any
    callbacks: Sequence[TrainerCallback] = ()
    target_tokenizer: PreTrainedTokenizerBase | None = None  # of a decoder with a vocabulary of its own
    new: Sequence[torch.nn.Parameter] = ()


def train(prepared: Prepared, output: Path, arguments: dict[str, Any], precision: str, seed: int) -> dict[str, Any]:
    """Train what is not frozen, resuming from ``output`` if a complete checkpoint lies there; save the final model to
    ``output/model``. The optimiser holds the parameters that train and no others.

    ``seed`` decides the order of the data and dropout. ``arguments`` are fields of
    :class:`transformers.TrainingArguments`. Returns what was measured; what an earlier process did is not timed.
    """
    # an EncoderDecoderModel says so at every start
    warnings.filterwarnings("ignore", "Version v4.12.0 introduces", FutureWarning)
    times = StepTimes()
    try:
        training_arguments = TrainingArguments(
            output_dir=str(output),
            bf16=wants_bf16(precision),
            use_cpu=not torch.accelerator.is_available(),
            seed=seed,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
            **arguments,
        )
    except (TypeError, ValueError) as error:
        raise ZscError(f"trainer options were refused by transformers.TrainingArguments: {error}") from error
    trainer = Trainer(
        model=prepared.model,
        args=training_arguments,
        train_dataset=prepared.train_data,
        eval_dataset=prepared.heldout,
        data_collator=prepared.collator,
        # whose end, begin and padding tokens the Trainer gives to the model: never those of sources alone
        processing_class=prepared.tokenizer if prepared.target_tokenizer is None else None,
        callbacks=[*prepared.callbacks, StepLines(), times],
    )
    trainer.remove_callback(PrinterCallback)
    resume = last_checkpoint(output)
    if resume:
        say(f"resuming from {resume}")
        kept = read_model(type(prepared.model), resume, f"training checkpoint {resume}")
    done = TrainerState.load_from_json(str(resume / "trainer_state.json")) if resume else trainer.state
    if resume and 0 < training_arguments.max_steps <= done.global_step:  # the Trainer would make one step more
        prepared.model.load_state_dict(kept.state_dict())
        trainer.state = done
    else:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    loss = trainer.evaluate()["eval_loss"]
    if not math.isfinite(loss):
        raise ZscError(
            f"training {output} has diverged: its validation loss is {loss}. Train again in a new folder with a smaller"
            " trainer.learning_rate, or precision=fp32."
        )
    partial = output / "model.partial"
    trainer.save_model(str(partial))
    if prepared.target_tokenizer is not None:
        prepared.tokenizer.save_pretrained(partial)
        prepared.target_tokenizer.save_pretrained(partial / TARGET_TOKENIZER)
    final = output / "model"
    remove_folder(final)
    partial.rename(final)
    return {
        "steps": trainer.state.global_step,
        "steps_timed": len(times.seconds),
        "seconds_per_step": statistics.median(times.seconds) if times.seconds else None,
        "validation_loss": loss,
        "optimiser_bytes": optimiser_bytes(trainer.optimizer) if trainer.optimizer else None,
    }
