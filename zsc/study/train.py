"""A training: what its options name, made and checked, and what it writes into its folder."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from transformers import set_seed

from zsc.data.layouts import BucketLayout, Layout
from zsc.data.options import DatasetOptions
from zsc.data.record import Record
from zsc.data.text import check_text
from zsc.errors import ZscError
from zsc.files import refuse_link, write_atomic
from zsc.generation.checks import check_lengths
from zsc.models.load import Loaded, load_model
from zsc.options import plain
from zsc.study.folders import versions
from zsc.study.formats import OWN_LAYOUT
from zsc.study.memory import device_peak_megabytes, peak_megabytes
from zsc.study.stored import stored_training
from zsc.study.watch import Watch
from zsc.tables.render import render
from zsc.terminal import say
from zsc.training.assemble import assembled, new_parameters
from zsc.training.corruption import check_corruption
from zsc.training.denoise import EVAL_SEGMENTS, denoising_data, segments_of, tokenizer_for
from zsc.training.freeze import freeze, holding
from zsc.training.language_model import LanguageModelCollator, new_language_model
from zsc.training.options import DenoiseOptions, LanguageModelOptions, TextToTextOptions, TrainOptions
from zsc.training.segments import Targets
from zsc.training.shares import describe_shares, share_rows, weight_shares
from zsc.training.text_to_text import TextCollator, add_speaker_tokens
from zsc.training.train import Prepared, new_model
from zsc.training.train import train as train_prepared

# what a training writes, removes or replaces in its folder, and what of that comes before its config.yaml
OWN = re.compile(
    r"config\.yaml|plan\.json|training\.json|model(\.partial)?|checkpoint-\d+|tokenizer(\.partial)?|segments[-.].*"
)
EARLY = re.compile(r"config\.yaml|tokenizer(\.partial)?|segments[-.].*")
MAY_CHANGE = ("max_steps", "logging_steps", "eval_steps", "save_steps", "save_total_limit")


def train(options: TrainOptions, watch: Watch) -> Path:
    """Train as ``options`` say, or go on with it, and return the folder of the model.

    ``plan.json`` in the output folder says what trains, ``training.json`` what it took and gave.
    """
    set_seed(options.seed)
    output, names = Path(options.output), list(options.freeze)
    check_folder(output, options)
    prepared = prepare(options, output)
    freeze(prepared.model, names)
    if untrained := holding(prepared.model, [one for one in prepared.new if not one.requires_grad]):
        raise ZscError(f"freeze={names} would leave new weights as drawn: do not freeze {', '.join(untrained)}.")
    with writing(output):
        write_atomic(output / "config.yaml", config_text(options))
    shares = weight_shares(prepared.model)
    watch.say("\n".join([render(share_rows(shares), "table"), describe_shares(shares)]))
    write_json(output / "plan.json", {"freeze": names, **shares})
    measured = train_prepared(prepared, output, dict(options.trainer), options.precision, options.seed)
    if isinstance(options.objective.options, TextToTextOptions):
        with writing(output):
            write_atomic(output / "model" / OWN_LAYOUT, yaml.safe_dump(plain(options.layout), allow_unicode=True))
    file = output / "training.json"
    if measured["steps_timed"] or not file.is_file():
        write_json(file, training_result(shares, measured, options.seed))
    return output / "model"


def training_result(shares: Mapping[str, Any], measured: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the content of ``training.json``: what trained, what it took and gave, and with which versions."""
    return {
        "trained_weights": shares["all"]["trained"],
        "trained_share": shares["all"]["share"],
        "trained_share_without_embeddings": shares["without_embeddings"]["share"],
        **measured,
        "peak_megabytes": peak_megabytes(),
        "device_peak_megabytes": device_peak_megabytes(),
        "seed": seed,
        "versions": versions(),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` to ``path``, whole or not at all. Raises ZscError if that cannot be done."""
    try:
        write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise ZscError(f"cannot write {path}: {error.strerror}.") from error


def config_text(options: TrainOptions) -> str:
    """Return ``options`` as YAML."""
    return yaml.safe_dump(plain(options), sort_keys=False, allow_unicode=True)


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turn a failure to write into a ZscError that names the output folder."""
    try:
        yield
    except OSError as error:
        raise ZscError(f"cannot write to output={output}: {error.strerror}.") from error


def check_folder(output: Path, options: TrainOptions) -> None:
    """Raise ZscError if the output folder cannot be made, where a training with other options lies there, or files of
    the names of a training's that are of none, and where it or one of its files is a symbolic link."""
    kept = output / "config.yaml"
    refuse_link(output)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        own = sorted(path for path in output.iterdir() if OWN.fullmatch(path.name))
    for path in own:
        refuse_link(path)
        if not kept.is_file() and not EARLY.fullmatch(path.name):
            raise ZscError(f"{path} is there and of no training. Set output=DIR to a new one.")
    if kept.is_file() and deciding(stored_training(kept)) != deciding(options):
        raise ZscError(f"{output} holds a training with other options, see {kept}. Set output=DIR to a new one.")


def deciding(options: TrainOptions) -> TrainOptions:
    """Return of ``options`` what must stay the same when a training is resumed."""
    trainer = {key: value for key, value in options.trainer.items() if key not in MAY_CHANGE}
    return replace(options, output="", trainer=trainer)


def prepare(options: TrainOptions, output: Path) -> Prepared:
    """Return what the objective of ``options`` trains, on what."""
    match options.objective.options:
        case DenoiseOptions() as denoise:
            return prepare_denoise(denoise, output)
        case LanguageModelOptions() as language_model:
            return prepare_language_model(language_model, output)
        case TextToTextOptions() as text_to_text:
            return prepare_text_to_text(text_to_text, options.layout)


def trainable(checkpoint: str, decoder: str | None = None) -> Loaded:
    """Load the encoder-decoder to train. Raises ZscError for a model of another kind."""
    loaded = load_model(checkpoint, decoder)
    if not loaded.model.config.is_encoder_decoder:
        raise ZscError(
            f"objective.checkpoint={checkpoint} ({loaded.model.config.model_type}) is not an encoder-decoder, which all"
            " that `zsc train` teaches is for."
        )
    return loaded


def prepare_denoise(objective: DenoiseOptions, output: Path) -> Prepared:
    text, heldout = check_text(Path(objective.text)), check_text(Path(objective.heldout))
    if objective.checkpoint is None:
        own = objective.tokenizer
        tokenizer = tokenizer_for(text, output, own.vocab_size, list(own.speaker_tokens))
        model = new_model(tokenizer, objective.architecture, dict(objective.config))
    else:
        loaded = trainable(objective.checkpoint)
        model, tokenizer = loaded.model, loaded.tokenizer
        if loaded.target_tokenizer is not tokenizer:
            raise ZscError(f"the decoder of {objective.checkpoint} has a vocabulary of its own: it cannot denoise.")
    corruption = plain(objective.noise)
    check_corruption(**corruption)
    positions = objective.segment_tokens + 2
    check_lengths(model, positions, positions, "objective.segment_tokens")
    train_data, held, collator, check = denoising_data(
        text, heldout, output, model, tokenizer, objective.segment_tokens, corruption
    )
    return Prepared(model, tokenizer, train_data, held, collator, [check])


def prepare_text_to_text(objective: TextToTextOptions, layout: Layout) -> Prepared:
    if objective.language_model is not None and objective.decoder is not None:
        raise ZscError(
            "objective.decoder and objective.language_model both name the decoder to start from: give one of them."
        )
    if objective.language_model is None:
        loaded = trainable(objective.checkpoint, objective.decoder)
    else:
        loaded = assembled(objective.checkpoint, objective.language_model)
    positions = 0
    if isinstance(layout, BucketLayout):
        positions = layout.positions
        add_speaker_tokens(loaded, layout)
    check_lengths(loaded.model, positions, objective.target_tokens, "objective.target_tokens")
    collator = TextCollator(layout, loaded, objective.target_tokens)
    texts, heldout = records_of(objective.train, layout), records_of(objective.heldout, layout)
    for records in (texts, heldout):
        if cut := str(layout.lay_out(records, loaded.tokenizer, collator.most)[1]):
            say(cut)
    return Prepared(
        loaded.model,
        loaded.tokenizer,
        texts,
        heldout,
        collator,
        target_tokenizer=None if loaded.target_tokenizer is loaded.tokenizer else loaded.target_tokenizer,
        new=new_parameters(loaded.model) if objective.language_model is not None else (),
    )


def records_of(datasets: tuple[DatasetOptions, ...], layout: Layout) -> list[Record]:
    """Return the records of ``datasets``. Raises ZscError for one that cannot be trained on."""
    records = [record for dataset in datasets for record in dataset.load()]
    for record in records:
        if record.reference is None:
            raise ZscError(f"record {record.id} has no reference to train on. Leave such records out.")
        if isinstance(layout, BucketLayout) and not record.history and record.knowledge is None:
            raise ZscError(
                f"record {record.id} has neither knowledge nor history to read. Leave such records out, or choose a"
                " layout of other fields, such as layout=plain layout.field=source."
            )
    return records


def prepare_language_model(objective: LanguageModelOptions, output: Path) -> Prepared:
    text, heldout = check_text(Path(objective.text)), check_text(Path(objective.heldout))
    loaded = trainable(objective.checkpoint)
    model = new_language_model(loaded.model)
    check_lengths(loaded.model, 0, objective.segment_tokens + 2, "objective.segment_tokens")
    train_data, held = (segments_of(one, output, loaded.tokenizer, objective.segment_tokens) for one in (text, heldout))
    held = held.select(range(min(EVAL_SEGMENTS, len(held))))
    collator = LanguageModelCollator(loaded.tokenizer, Targets.of(loaded.model, loaded.tokenizer))
    return Prepared(model, loaded.tokenizer, train_data, held, collator)
