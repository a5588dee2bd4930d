"""`zsc train`: from a composed config to a training run."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, set_seed

from zsc.cli.configs import resolved
from zsc.cli.run import build_layout
from zsc.data import load_records
from zsc.data.text import check_text
from zsc.errors import ZscError
from zsc.models.load import load_model
from zsc.training.denoise import denoising_data, tokenizer_for
from zsc.training.dialogue import dialogue_collator
from zsc.training.train import new_model, train

Prepared = tuple[PreTrainedModel, PreTrainedTokenizerBase, Any, Any, Any, list[TrainerCallback]]


def run(cfg: DictConfig) -> None:
    """Train as ``cfg`` (configs/train.yaml) says and print where the model lies."""
    config = resolved(cfg)
    set_seed(config["seed"])
    output = Path(config["output"])
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZscError(f"cannot write to output={output}: {error.strerror}.") from error
    model, tokenizer, train_data, heldout, collator, callbacks = TASKS[config["task"]["name"]](config["task"], output)
    train(
        model,
        tokenizer,
        train_data,
        heldout,
        collator,
        output,
        config["trainer"],
        config["freeze"],
        config["precision"],
        config["seed"],
        callbacks,
    )
    print(output / "model")


def prepare_denoise(task: dict[str, Any], output: Path) -> Prepared:
    text, heldout = check_text(Path(task["text"])), check_text(Path(task["heldout"]))
    if task["checkpoint"] is None:
        own = task["tokenizer"]
        tokenizer = tokenizer_for(text, output, own["vocab_size"], own["speaker_tokens"])
        model = new_model(tokenizer, task["architecture"], task["config"])
    else:
        loaded = load_model(task["checkpoint"])
        model, tokenizer = loaded.model, loaded.tokenizer
    train_data, held, collator, check = denoising_data(
        text, heldout, output, model, tokenizer, task["segment_tokens"], task["noise"]
    )
    return model, tokenizer, train_data, held, collator, [check]


def prepare_dialogue(task: dict[str, Any], output: Path) -> Prepared:
    loaded = load_model(task["checkpoint"])
    collator = dialogue_collator(loaded.model, loaded.tokenizer, build_layout(task["layout"]), task["target_tokens"])
    train_data, heldout = ([r for one in task[part] for r in load_records(**one)] for part in ("train", "heldout"))
    return loaded.model, loaded.tokenizer, train_data, heldout, collator, []


TASKS = {"denoise": prepare_denoise, "dialogue": prepare_dialogue}
