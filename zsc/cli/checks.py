"""The checks of `zsc doctor`. A line in CHECKS and a function here make a new one."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import psutil
import torch
from omegaconf import OmegaConf
from transformers import PreTrainedModel

from zsc.cli.build import build_layout, build_settings
from zsc.cli.configs import CONFIGS
from zsc.data import DATASETS, load_records
from zsc.data.card import has_card, load_card
from zsc.data.files import DATA_VARIABLE, dataset_folder
from zsc.data.layout import Source
from zsc.data.record import Record
from zsc.errors import ZscError, first_line
from zsc.generation.checks import check_lengths, check_settings, probe_settings
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, generate
from zsc.install import extra_command, install_command, problem, requirements
from zsc.knobs import KNOBS, Knob, UnsupportedModel, apply
from zsc.knobs.cached import LostAtCachedSteps
from zsc.knobs.encoder import encode, encoder_outputs
from zsc.knobs.finite import NotFinite
from zsc.knobs.repeated import FAULTS
from zsc.knobs.supported import check_model, check_supported, made_up
from zsc.metrics.judges.checkpoint import fingerprint
from zsc.models.load import Loaded, load_model

PYTHON = ((3, 11), (3, 14))
EXAMPLES = 4
NEUTRAL: dict[str, dict[str, Any]] = {  # settings with which a knob is to change nothing; a swap has none
    "attn_bias": {"strength": 1.0},
    "ctx_aug": {"strength": 0.0},
    "dec_mix": {"weight": 0.0},
    "self_attn_bias": {"strength": 1.0},
}
STEPPED: dict[str, list[dict[str, Any]]] = {  # settings that look at the decoding step in ways of their own
    "attn_bias": [{"profile": "gradual"}],
    "dec_mix": [{"level": "hidden"}, {"level": "cross_attention"}, {"level": "probs"}],
}


@dataclass(frozen=True)
class Finding:
    check: str
    state: Literal["ok", "warn", "fail", "skip"]
    found: str
    next: str = ""


@dataclass
class Patient:
    """What is checked; the model and the examples are there once their check has passed."""

    config: dict[str, Any]
    loaded: Loaded | None = None
    records: list[Record] = field(default_factory=list)
    source: Source | None = None


def versions(patient: Patient) -> Iterator[Finding]:
    least, below = PYTHON
    python = ".".join(map(str, sys.version_info[:3]))
    supported = least <= sys.version_info[:2] < below
    yield Finding("python", "ok" if supported else "fail", python, "" if supported else "use Python 3.11 to 3.13")
    required = requirements()
    wrong = [(one, found) for one in required if (found := problem(one))]
    for one, found in wrong:
        yield Finding("package", "fail", found, install_command(one))
    if not wrong:
        shown = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "hydra-core"))
        yield Finding("packages", "ok", f"{shown}; all {len(required)} requirements hold")
    for extra in ("judges", "chitchat"):
        chosen = requirements(extra)
        lacking = [found for one in chosen if (found := problem(one))]
        yield Finding(
            f"extra {extra}",
            "warn" if lacking else "ok",
            ", ".join(lacking or [one.name for one in chosen]),
            extra_command(extra) if lacking else "",
        )


def machine(patient: Patient) -> Iterator[Finding]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    cores = (
        f"{psutil.cpu_count(logical=False) or psutil.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
    )
    name = torch.cuda.get_device_name() if accelerator and accelerator.type == "cuda" else str(accelerator or "cpu")
    yield Finding("device", "ok", f"{name}; {cores}")
    memory = psutil.virtual_memory()
    yield Finding("memory", "ok", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")
    free = shutil.disk_usage(".").free
    writable = os.access(".", os.W_OK)
    found = f"{free / 2**30:.1f} GiB free here" if writable else "this folder cannot be written"
    state: Any = "ok" if writable and free > 2**30 else "warn"
    yield Finding("disk", state, found, "" if state == "ok" else "set output=FOLDER to a place with room")
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    yield Finding("hub", "ok", "offline: only what is in the cache" if offline else "models are fetched when named")


def model(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    loaded = load_model(**config["model"])
    layout, decoding = build_layout(config["layout"]), Decoding.from_settings(config["decoding"])
    check_lengths(loaded.model, layout.positions, decoding.max_new_tokens)
    numbers = sum(one.numel() for one in loaded.model.parameters())
    size = sum(one.numel() * one.element_size() for one in loaded.model.parameters())
    what = f"{config['model']['checkpoint']}: {numbers / 1e6:.1f}M parameters, {loaded.model.dtype}".replace(
        "torch.", ""
    )
    yield Finding("model", "ok", f"{what} on {loaded.model.device}, weights {loaded.fingerprint[:12]}")
    patient.loaded = loaded
    free = psutil.virtual_memory().available
    if loaded.model.device.type == "cpu" and free < 2 * size:
        yield Finding("memory for it", "warn", f"{free / 2**30:.1f} GiB free, {size / 2**30:.1f} GiB of weights",
                      "use a smaller batch_size or model.dtype=bfloat16")  # fmt: skip


def examples(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    patient.records = load_records(**config["dataset"])[:EXAMPLES]
    if patient.loaded is None:
        raise Skip("without a model")
    layout = build_layout(config["layout"])
    patient.source = layout.encode(patient.records, patient.loaded.tokenizer).to(patient.loaded.model.device)
    name = config["dataset"]["loader"]
    yield Finding("examples", "ok", f"{len(patient.records)} of {name}, {layout.positions} positions each")


def soundness(patient: Patient) -> Iterator[Finding]:
    loaded, source = _ready(patient)
    some = source.select(list(range(min(2, len(source.input_ids)))))
    states, targets = encode(loaded.model, some), made_up(loaded.model)[2][: len(some.input_ids)]
    for what, holds in SOUND.items():
        try:
            (check_model if what == "steps" else check_supported)(loaded.model)
            fault = FAULTS[what](loaded.model, states, some.attention_mask, targets)
            yield Finding(what, "fail" if fault else "ok", fault or holds, REPORT if fault else "")
        except ValueError as error:  # a model that is refused, or weights whose effect rounding may hide
            yield Finding(what, "fail" if what == "steps" else "warn", first_line(error))


SOUND = {
    "steps": "the same with a cache and without, blind to later tokens",
    "source": "states with whole weights are repeated states, and at every step",
    "past": "weights of 0 hide, others count relative to each other, at every step",
}


def knobs(patient: Patient) -> Iterator[Finding]:
    loaded, source = _ready(patient)
    for name in KNOBS:
        before = fingerprint(loaded.model)
        try:
            yield _check_knob(name, patient.config, loaded, patient.records, source)
        except (UnsupportedModel, ZscError, ValueError) as error:
            hint = (
                f"knob={name} with another model of this shape: knob.other.checkpoint=NAME"
                if name in NEEDS_OTHER
                else ""
            )
            wrong = isinstance(error.__cause__, LostAtCachedSteps | NotFinite)
            yield Finding(f"knob {name}", "fail" if wrong else "warn", first_line(error), "" if wrong else hint)
        if fingerprint(loaded.model) != before:
            yield Finding(f"knob {name}", "fail", "left the model with other weights", REPORT)


NEEDS_OTHER = ("dec_mix", "swap")
REPORT = "report this with the versions above"


def _check_knob(name: str, config: dict[str, Any], loaded: Loaded, records: list[Record], source: Source) -> Finding:
    model = config["model"]
    options = shipped_knob(name, model)
    settings = build_settings(options, model, loaded).settings
    check_settings(loaded, settings, records, source)
    identity = ""
    if name in NEUTRAL:
        _, (neutral,) = build_settings(options | NEUTRAL[name], model, loaded).settings.values()
        if not torch.equal(_logits(loaded.model, [], source), _logits(loaded.model, [neutral], source)):
            return Finding(f"knob {name}", "fail", f"{neutral} is meant to change nothing and does", REPORT)
        identity = "identity exact; "
    cached = Decoding.from_settings(config["decoding"]).use_cache
    (effect,) = probe_settings(loaded, settings, source, cached).values()
    for changes in STEPPED.get(name, ()):
        stepped = build_settings(options | changes, model, loaded).settings
        check_settings(loaded, stepped, records, source)
        probe_settings(loaded, stepped, source, cached)
    steps = "with a cache as without" if cached else "not tried with a cache"
    return Finding(f"knob {name}", "ok", f"{identity}acts, {steps} ({effect})")


def shipped_knob(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped config of a knob for ``model``."""
    other = OmegaConf.load(CONFIGS / "run.yaml").other
    knob = OmegaConf.load(CONFIGS / "knob" / f"{name}.yaml")
    whole = OmegaConf.create({"model": model, "other": other, "knob": knob})
    return OmegaConf.to_container(whole, resolve=True)["knob"]  # type: ignore[index, call-overload, return-value]


@torch.inference_mode()
def _logits(model: PreTrainedModel, active: list[Knob], source: Source) -> torch.Tensor:
    states, vocabulary = encode(model, source), model.get_output_embeddings().weight.shape[0]
    with apply(model, active, source):
        return model(
            encoder_outputs=encoder_outputs(states),
            attention_mask=source.attention_mask,
            decoder_input_ids=source.input_ids[:, :8] % vocabulary,
        ).logits


def batches(patient: Patient) -> Iterator[Finding]:
    loaded, source = _ready(patient)
    decoding = Decoding.from_settings(patient.config["decoding"])
    ids = [record.id for record in patient.records]

    def texts(rows: list[int]) -> dict[int, str]:
        some = source.select(rows)
        states = encode(loaded.model, some)
        (said,) = generate(
            loaded.model, loaded.target_tokenizer, some, states, [ids[i] for i in rows], [Job([], 0)], decoding
        )
        return {row: response.text for row, response in zip(rows, said, strict=True)}

    every = list(range(len(ids)))
    together, backwards = texts(every), texts(every[::-1])
    alone = {i: texts([i])[i] for i in every}
    differ = [ids[i] for i in every if len({together[i], backwards[i], alone[i]}) > 1]
    if differ:
        yield Finding("batches", "warn", f"the response to {differ[0]} depends on its batch (rounding on this device)",
                      "use model.dtype=float32, or the same batch_size everywhere")  # fmt: skip
    else:
        yield Finding("batches", "ok", f"{len(ids)} responses are the same alone, together and in reverse order")


def data(patient: Patient) -> Iterator[Finding]:
    root = os.environ.get(DATA_VARIABLE)
    yield Finding(DATA_VARIABLE, "ok", root or "not set: give dataset.path=FOLDER")
    for loader in DATASETS:
        if has_card(loader) and (card := load_card(loader)).folders:
            given = patient.config["dataset"]
            try:
                folder = dataset_folder(loader, given.get("path") if given["loader"] == loader else None, "")
                yield Finding(f"data {loader}", "ok", str(folder), f"zsc data {loader}")
            except ZscError:
                yield Finding(f"data {loader}", "warn", "not here", card.fetch.splitlines()[0])


def _ready(patient: Patient) -> tuple[Loaded, Source]:
    if patient.loaded is None or patient.source is None:
        raise Skip("without a model and examples")
    return patient.loaded, patient.source


class Skip(Exception):
    """A check cannot be made; its text says what it lacks."""


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "versions": versions,
    "machine": machine,
    "model": model,
    "examples": examples,
    "soundness": soundness,
    "knobs": knobs,
    "batches": batches,
    "data": data,
}


def examine(config: dict[str, Any]) -> Iterator[Finding]:
    """Yield what every check finds. One that fails does not stop those after it."""
    patient = Patient(config)
    for name, check in CHECKS.items():
        try:
            yield from check(patient)
        except Skip as reason:
            yield Finding(name, "skip", str(reason))
        except ZscError as error:
            yield Finding(name, "fail", str(error))
        except Exception as error:  # a fault of one check is a finding, whatever it is
            yield Finding(name, "fail", f"{type(error).__name__}: {first_line(error)}", REPORT)
