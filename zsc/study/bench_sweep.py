"""`zsc bench` of a sweep: many settings at once against one after the other, and against the library's own loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from zsc.errors import ZscError
from zsc.generation.batches import ReadBatches
from zsc.generation.cells import Cell
from zsc.generation.fill import Filler, Task
from zsc.generation.generate import Job
from zsc.knobs.anatomy import is_causal
from zsc.models.load import load_model
from zsc.study.experiment import Experiment, prepare
from zsc.study.filling import side_by_side
from zsc.study.formats import format_of
from zsc.study.knobs import load_once
from zsc.study.memory import peak_megabytes
from zsc.study.options import BenchOptions
from zsc.study.watch import Watch


class Strict:
    """A watcher to whom nothing may be said."""

    def advance(self, responses: int) -> None:
        pass

    def note(self, message: str) -> None:
        raise ZscError(f"{message} Set together to that many: a benchmark must not change on the way.")


def bench_sweep(options: BenchOptions, repeats: int, watch: Watch) -> dict[str, Any]:
    """Return a row of times, in seconds, and their ratios, medians over ``repeats`` measured in turn.

    ``sweep`` fills a cell for every setting with knobs of ``options``, side by side; ``separate`` does so one setting
    at a time. Both begin with loading the model, once or for each setting; what a process costs to start is left out.
    ``plain`` calls the library's own ``generate`` on the same batches as many times, with the model loaded before, and
    without knobs, storage or likelihoods. Every response is made equally long.
    """
    format = format_of(options, load_once(options.model))
    decoding = replace(format.decoding, min_new_tokens=format.decoding.max_new_tokens)
    experiment = prepare(replace(options, layout=format.layout, decoding=decoding, seeds=(0,)))
    names = [name for name, knobs in experiment.built.settings.items() if knobs]

    def sweep() -> None:
        fill_fresh(experiment, names)

    def separate() -> None:
        for name in names:
            fill_fresh(experiment, [name])

    def plain() -> None:
        for _ in names:
            plain_generate(experiment)

    ways = {"sweep": sweep, "separate": separate, "plain": plain}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    plain_generate(experiment)
    for repeat in range(repeats):
        for name in list(ways)[:: 1 if repeat % 2 == 0 else -1]:
            seconds[name].append(timed(ways[name]))
            watch.say(f"{name}: {seconds[name][-1]:.1f} s")
            if repeat == 0 and name == "sweep":
                peak = peak_megabytes()
    ratios = {
        f"sweep/{other}": round(median(a / b for a, b in zip(seconds["sweep"], seconds[other], strict=True)), 3)
        for other in ("separate", "plain")
    }
    return {
        "settings": len(names),
        "responses": len(experiment.records) * len(names),
        **ratios,
        **{f"{name} s": round(median(times), 2) for name, times in seconds.items()},
        "together": side_by_side(experiment),
        "batch": options.batch_size,
        "repeats": repeats,
        "peak MB of sweep": peak,
    }


def timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def fill_fresh(experiment: Experiment, names: Sequence[str]) -> None:
    """Fill cells of the settings ``names`` in a folder of their own, from loading the model to the mark of the last."""
    loaded = load_model(**asdict(experiment.options.model))
    sources, _ = experiment.format.lay_out(experiment.records, loaded)
    batches = ReadBatches(loaded.model, sources, experiment.options.batch_size)
    with TemporaryDirectory() as folder:
        tasks = [
            Task(
                Cell(Path(folder), experiment.cells[name, 0].spec, experiment.cells[name, 0].ids),
                Job(experiment.built.settings[name], 0),
                None,
            )
            for name in names
        ]
        Filler(loaded, batches, experiment.format.decoding, side_by_side(experiment), Strict()).fill(tasks)


@torch.inference_mode()
def plain_generate(experiment: Experiment) -> None:
    """Sample a response to every record with the library's own ``generate``, batch by batch, and decode its text."""
    model: Any = experiment.loaded.model
    decoding, size = experiment.format.decoding, experiment.options.batch_size
    for start in range(0, len(experiment.records), size):
        rows = range(start, min(start + size, len(experiment.records)))
        source = experiment.sources.batch(rows).to(model.device)
        tokens = model.generate(
            input_ids=source.input_ids,
            attention_mask=source.attention_mask,
            do_sample=decoding.sample,
            temperature=decoding.temperature if decoding.sample else None,
            top_p=decoding.top_p if decoding.sample else None,
            top_k=decoding.top_k if decoding.sample else None,
            num_beams=decoding.num_beams,
            min_new_tokens=decoding.min_new_tokens,
            max_new_tokens=decoding.max_new_tokens,
        )
        begins = source.input_ids.shape[1] if is_causal(model) else 0
        experiment.loaded.target_tokenizer.batch_decode(tokens[:, begins:], skip_special_tokens=True)
