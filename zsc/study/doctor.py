"""The checks of `zsc doctor`. A line in CHECKS and a function here make a new one."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from zsc.data import DATASETS
from zsc.data.card import has_card, load_card
from zsc.data.files import DATA_VARIABLE, dataset_folder
from zsc.data.record import Record
from zsc.data.source import Source, Sources
from zsc.errors import ZscError, first_line
from zsc.generation.checks import check_lengths, check_settings, probe_settings
from zsc.generation.generate import Job, generate
from zsc.install import extra_command, install_command, problem, requirements
from zsc.knobs import KNOBS, Knob, UnsupportedModel, apply
from zsc.knobs.anatomy import is_causal
from zsc.knobs.cached import LostAtCachedSteps
from zsc.knobs.finite import NotFinite
from zsc.knobs.read import read
from zsc.knobs.supported import OF_STEPS, OF_WEIGHTS, check_model, check_supported, fault_on
from zsc.metrics.judges.checkpoint import fingerprint
from zsc.models.load import Loaded, load_model
from zsc.models.prepacked import available
from zsc.study.doctor_store import store
from zsc.study.findings import Finding
from zsc.study.formats import Format, format_of
from zsc.study.knobs import build_settings
from zsc.study.options import KnobChoice, KnobOptions, RunOptions

PYTHON = ((3, 11), (3, 14))
EXAMPLES = 4


@dataclass
class Patient:
    """What is checked; the model and the examples are there once their check has passed."""

    options: RunOptions
    knobs: Mapping[str, KnobOptions]
    loaded: Loaded | None = None
    records: Sequence[Record] = ()
    format: Format | None = None
    sources: Sources | None = None
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
    for extra in ("judges", "chitchat", "smollm2", "bench"):
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
    kernels = f"oneDNN, {torch.backends.cpu.get_cpu_capability()}" if available() else "torch's own"
    yield Finding("device", "ok", f"{name}; {cores}; its linear layers on the CPU: {kernels}")
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
    options = patient.options
    loaded = load_model(**asdict(options.model))
    check_lengths(loaded.model, 0, options.decoding.max_new_tokens or 1)
    numbers = sum(one.numel() for one in loaded.model.parameters())
    size = sum(one.numel() * one.element_size() for one in loaded.model.parameters())
    what = f"{options.model.checkpoint}: {numbers / 1e6:.1f}M parameters, {loaded.model.dtype}".replace("torch.", "")
    yield Finding("model", "ok", f"{what} on {loaded.model.device}, weights {loaded.fingerprint[:12]}")
    patient.loaded = loaded
    free = psutil.virtual_memory().available
    if loaded.model.device.type == "cpu" and free < 2 * size:
        yield Finding("memory for it", "warn", f"{free / 2**30:.1f} GiB free, {size / 2**30:.1f} GiB of weights",
                      "use a smaller batch_size or model.dtype=bfloat16")  # fmt: skip


def examples(patient: Patient) -> Iterator[Finding]:
    options = patient.options
    patient.records = options.dataset.load()[:EXAMPLES]
    if patient.loaded is None:
        raise Skip("without a model")
    patient.format = format_of(options, patient.loaded)
    patient.sources, _ = patient.format.lay_out(patient.records, patient.loaded)
    patient.source = patient.sources.batch(range(len(patient.records))).to(patient.loaded.model.device)
    unknown = next((remark for remark in patient.format.remarks if remark.startswith("warning")), "")
    found = f"{len(patient.records)} of {options.dataset.loader}, {patient.sources.longest} positions at most"
    yield Finding("examples", "warn" if unknown else "ok", found, unknown)


def soundness(patient: Patient) -> Iterator[Finding]:
    loaded, source, _, _ = _ready(patient)
    some = source.select(list(range(min(2, len(source.input_ids)))))
    alone = is_causal(loaded.model)
    for what in (*OF_STEPS[alone], *OF_WEIGHTS[alone]):
        try:
            (check_model if what in OF_STEPS[alone] else check_supported)(loaded.model)
            found = fault_on(loaded.model, what, some)
            yield Finding(what, "fail" if found else "ok", found or SOUND[what], REPORT if found else "")
        except ValueError as error:  # a model that is refused, or weights whose effect rounding may hide
            yield Finding(what, "fail" if what in OF_STEPS[alone] else "warn", first_line(error))


SOUND = {
    "steps": "the same with a cache and without, blind to later tokens",
    "padding": "a padded prompt gives what it gives alone",
    "source": "states with whole weights are repeated states, and at every step",
    "past": "weights of 0 hide, others count relative to each other, at every step",
    "weights": "attention is what the weights make of it in every layer, and at every step",
}


def knobs(patient: Patient) -> Iterator[Finding]:
    loaded, _, _, _ = _ready(patient)
    for name, options in patient.knobs.items():
        before = fingerprint(loaded.model)
        try:
            yield _check_knob(options, patient)
        except (UnsupportedModel, ZscError, ValueError) as error:
            needs_other = KNOBS[name].needs_other(options.values)
            hint = f"knob={name} with another model of this shape: knob.other.checkpoint=NAME" if needs_other else ""
            wrong = isinstance(error.__cause__, LostAtCachedSteps | NotFinite)
            yield Finding(f"knob {name}", "fail" if wrong else "warn", first_line(error), "" if wrong else hint)
        if fingerprint(loaded.model) != before:
            yield Finding(f"knob {name}", "fail", "left the model with other weights", REPORT)


REPORT = "report this with the versions above"


def _check_knob(options: KnobOptions, patient: Patient) -> Finding:
    loaded, source, sources, format = _ready(patient)
    name, kind = options.name, KNOBS[options.name]

    def settings_with(**values: Any) -> dict[str, Sequence[Knob]]:
        choice = KnobChoice((options.replace(**values),))
        return build_settings([choice], patient.options.model, loaded).settings

    settings = settings_with()
    check_settings(loaded, settings, patient.records, sources)
    identity = ""
    if (dose := kind.dose) is not None:
        _, (neutral,) = settings_with(**{dose.field: dose.neutral}).values()
        if not torch.equal(_logits(loaded.model, [], source), _logits(loaded.model, [neutral], source)):
            return Finding(f"knob {name}", "fail", f"{neutral} is meant to change nothing and does", REPORT)
        identity = "identity exact; "
    cached = format.decoding.use_cache
    (effect,) = probe_settings(loaded, settings, source, cached).values()
    for changes in kind.tried:
        stepped = settings_with(**changes)
        check_settings(loaded, stepped, patient.records, sources)
        probe_settings(loaded, stepped, source, cached)
    steps = "with a cache as without" if cached else "not tried with a cache"
    return Finding(f"knob {name}", "ok", f"{identity}acts, {steps} ({effect})")


@torch.inference_mode()
def _logits(model: PreTrainedModel, active: list[Knob], source: Source) -> torch.Tensor:
    vocabulary = model.get_output_embeddings().weight.shape[0]
    with apply(model, active, source):
        return read(model, source).decode(source.input_ids[:, -8:] % vocabulary).logits


def batches(patient: Patient) -> Iterator[Finding]:
    loaded, source, _, format = _ready(patient)
    decoding = format.decoding
    ids = [record.id for record in patient.records]

    def texts(rows: list[int]) -> dict[int, str]:
        some = source.select(rows)
        reading = read(loaded.model, some)
        (responses,) = generate(reading, loaded.target_tokenizer, [ids[i] for i in rows], [Job([], 0)], decoding)
        return {row: response.text for row, response in zip(rows, responses, strict=True)}

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
            given = patient.options.dataset
            try:
                folder = dataset_folder(loader, given.path if given.loader == loader else None, "")
                yield Finding(f"data {loader}", "ok", str(folder), f"zsc data {loader}")
            except ZscError:
                yield Finding(f"data {loader}", "warn", "not here", card.fetch.splitlines()[0])


def _ready(patient: Patient) -> tuple[Loaded, Source, Sources, Format]:
    if patient.loaded is None or patient.source is None or patient.sources is None or patient.format is None:
        raise Skip("without a model and examples")
    return patient.loaded, patient.source, patient.sources, patient.format


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
    "store": lambda patient: store(Path(patient.options.cells)),
}


def examine(options: RunOptions, knobs: Mapping[str, KnobOptions]) -> Iterator[Finding]:
    """Yield what every check finds, ``knobs`` being those that are checked. One that fails does not stop others."""
    patient = Patient(options, knobs)
    for name, check in CHECKS.items():
        try:
            yield from check(patient)
        except Skip as reason:
            yield Finding(name, "skip", str(reason))
        except ZscError as error:
            yield Finding(name, "fail", str(error))
        except Exception as error:  # a fault of one check is a finding, whatever it is
            yield Finding(name, "fail", f"{type(error).__name__}: {first_line(error)}", REPORT)
