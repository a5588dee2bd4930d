"""`zsc train`: from a composed config to a training run."""

import json
import platform
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from transformers import set_seed

from zsc import __version__
from zsc.cli.build import build_layout, check_count
from zsc.cli.configs import resolved
from zsc.cli.memory import device_peak_megabytes, peak_megabytes
from zsc.data import load_records
from zsc.data.text import check_text
from zsc.errors import ZscError
from zsc.files import refuse_link, write_atomic
from zsc.generation.cells import library_versions
from zsc.generation.checks import check_lengths
from zsc.models.load import load_model
from zsc.tables.render import render
from zsc.terminal import say
from zsc.training.assemble import assembled, new_parameters
from zsc.training.denoise import EVAL_SEGMENTS, denoising_data, segments_of, tokenizer_for
from zsc.training.dialogue import DialogueCollator, add_speaker_tokens
from zsc.training.freeze import freeze, holding
from zsc.training.language_model import LanguageModelCollator, new_language_model
from zsc.training.noise import check_noise
from zsc.training.plan import describe, plan_of, plan_rows
from zsc.training.segments import Targets
from zsc.training.train import Prepared, new_model, train

# what a training writes, removes or replaces in its folder, and what of that comes before its config.yaml
OWN = re.compile(
    r"config\.yaml|plan\.json|training\.json|model(\.partial)?|checkpoint-\d+|tokenizer(\.partial)?|segments[-.].*"
)
EARLY = re.compile(r"config\.yaml|tokenizer(\.partial)?|segments[-.].*")
MAY_CHANGE = ("max_steps", "logging_steps", "eval_steps", "save_steps", "save_total_limit")


def run(cfg: DictConfig) -> None:
    """Train as ``cfg`` (configs/train.yaml) says and print where the model lies.

    ``plan.json`` in the output folder says what trains, ``training.json`` what it took and gave.
    """
    config = resolved(cfg)
    set_seed(config["seed"])
    output = Path(str(config["output"]))
    check_settings(output, config)
    prepared = TASKS[config["task"]["name"]](config["task"], output)
    freeze(prepared.model, config["freeze"])
    if untrained := holding(prepared.model, [one for one in prepared.new if not one.requires_grad]):
        raise ZscError(
            f"freeze={config['freeze']} would leave new weights as drawn: do not freeze {', '.join(untrained)}."
        )
    keep_settings(output, config)
    plan = plan_of(prepared.model)
    say("\n".join([render(plan_rows(plan), "table"), describe(plan)]))
    write_json(output / "plan.json", {"freeze": config["freeze"], **plan})
    measured = train(prepared, output, config["trainer"], config["precision"], config["seed"])
    report = output / "training.json"
    if measured["steps_timed"] or not report.is_file():
        write_json(report, training_report(plan, measured, config["seed"]))
    print(output / "model")


def training_report(plan: dict[str, Any], measured: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the content of ``training.json``: what trained, what it took and gave, and with which versions."""
    return {
        "trained_weights": plan["all"]["trained"],
        "trained_share": plan["all"]["share"],
        "trained_share_without_embeddings": plan["without_embeddings"]["share"],
        **measured,
        "peak_megabytes": peak_megabytes(),
        "device_peak_megabytes": device_peak_megabytes(),
        "seed": seed,
        "versions": library_versions() | {"zsc": __version__, "python": platform.python_version()},
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` to ``path``, whole or not at all. Raises ZscError if that cannot be done."""
    try:
        write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise ZscError(f"cannot write {path}: {error.strerror}.") from error


def check_settings(output: Path, config: dict[str, Any]) -> None:
    """Raise ZscError if the output folder cannot be made, where a training with other settings lies there, or files of
    the names of a training's that are of none, and where it or one of its files is a symbolic link."""
    kept = output / "config.yaml"
    refuse_link(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        own = sorted(path for path in output.iterdir() if OWN.fullmatch(path.name))
        there = OmegaConf.to_container(OmegaConf.load(kept)) if kept.is_file() else config
    except OSError as error:
        raise ZscError(f"cannot write to output={output}: {error.strerror}.") from error
    for path in own:
        refuse_link(path)
        if not kept.is_file() and not EARLY.fullmatch(path.name):
            raise ZscError(f"{path} is there and of no training. Set output=DIR to a new one.")
    if _deciding(config) != _deciding(there):
        raise ZscError(f"{output} holds a training with other settings, see {kept}. Set output=DIR to a new one.")


def keep_settings(output: Path, config: dict[str, Any]) -> None:
    """Write ``config`` to the output folder."""
    try:
        write_atomic(output / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    except OSError as error:
        raise ZscError(f"cannot write to output={output}: {error.strerror}.") from error


def _deciding(config: Any) -> dict[str, Any]:
    """Return the settings that must stay the same when a training is resumed."""
    trainer = {key: value for key, value in config["trainer"].items() if key not in MAY_CHANGE}
    return {key: value for key, value in config.items() if key not in ("output", "trainer")} | {"trainer": trainer}


def prepare_denoise(task: dict[str, Any], output: Path) -> Prepared:
    text, heldout = check_text(Path(task["text"])), check_text(Path(task["heldout"]))
    if task["checkpoint"] is None:
        own = task["tokenizer"]
        tokenizer = tokenizer_for(text, output, own["vocab_size"], own["speaker_tokens"])
        model = new_model(tokenizer, task["architecture"], task["config"])
    else:
        loaded = load_model(task["checkpoint"])
        model, tokenizer = loaded.model, loaded.tokenizer
        if loaded.target_tokenizer is not tokenizer:
            raise ZscError(f"the decoder of {task['checkpoint']} has a vocabulary of its own: it cannot denoise.")
    check_noise(**task["noise"])
    check_lengths(model, task["segment_tokens"] + 2, task["segment_tokens"] + 2, "task.segment_tokens")
    train_data, held, collator, check = denoising_data(
        text, heldout, output, model, tokenizer, task["segment_tokens"], task["noise"]
    )
    return Prepared(model, tokenizer, train_data, held, collator, [check])


def prepare_dialogue(task: dict[str, Any], output: Path) -> Prepared:
    layout, checkpoint, alternative = build_layout(task["layout"]), task["checkpoint"], task["language_model"]
    if alternative is not None and task["decoder"] is not None:
        raise ZscError("task.decoder and task.language_model both name the decoder to start from: give one of them.")
    if alternative is None:
        loaded = load_model(checkpoint, task["decoder"])
    else:
        loaded = assembled(str(checkpoint), str(alternative))
    check_lengths(loaded.model, layout.positions, task["target_tokens"], "task.target_tokens")
    add_speaker_tokens(loaded, layout)
    train_data, heldout = ([r for one in task[part] for r in load_records(**one)] for part in ("train", "heldout"))
    for record in (*train_data, *heldout):
        if record.reference is None:
            raise ZscError(f"record {record.id} has no reference to train on. Leave such records out.")
        if not record.history and record.knowledge is None:
            raise ZscError(f"record {record.id} has neither knowledge nor history to read. Leave such records out.")
    return Prepared(
        loaded.model,
        loaded.tokenizer,
        train_data,
        heldout,
        DialogueCollator(layout, loaded, task["target_tokens"]),
        target_tokenizer=None if loaded.target_tokenizer is loaded.tokenizer else loaded.target_tokenizer,
        new=new_parameters(loaded.model) if alternative is not None else (),
    )


def prepare_language_model(task: dict[str, Any], output: Path) -> Prepared:
    text, heldout = check_text(Path(task["text"])), check_text(Path(task["heldout"]))
    loaded = load_model(task["checkpoint"])
    model = new_language_model(loaded.model)
    check_lengths(
        loaded.model, 0, check_count("task.segment_tokens", task["segment_tokens"]) + 2, "task.segment_tokens"
    )
    train_data, held = (segments_of(one, output, loaded.tokenizer, task["segment_tokens"]) for one in (text, heldout))
    held = held.select(range(min(EVAL_SEGMENTS, len(held))))
    collator = LanguageModelCollator(loaded.tokenizer, Targets.of(loaded.model, loaded.tokenizer))
    return Prepared(model, loaded.tokenizer, train_data, held, collator)


TASKS = {"denoise": prepare_denoise, "dialogue": prepare_dialogue, "language_model": prepare_language_model}
