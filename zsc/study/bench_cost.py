"""What a knob costs: the same batch with it on and off, in turn, every response as many tokens long."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from zsc.data.source import BEGIN, Source
from zsc.generation.generate import Job, decode
from zsc.knobs import AdditiveKnob, Knob
from zsc.knobs.base import other_models
from zsc.knobs.read import read
from zsc.knobs.reading import Reading
from zsc.models.prepacked import prepacked
from zsc.study.experiment import prepare
from zsc.study.memory import peak_megabytes
from zsc.study.options import BenchOptions
from zsc.study.timing import Seconds, ratios, seconds_of

AT_ONCE = 32  # examples, where batch_size is auto


def bench_cost(options: BenchOptions) -> list[dict[str, Any]]:
    """Return a row for every setting: time(knob on) / time(knob off) of the first batch of examples.

    A knob changes how long responses are, so that times with natural ends would not be of the same work: here every
    response is ``max_new_tokens`` long, and the ratio is that of a token. Where knobs put codes beside the source, the
    unmodified model reads as many more positions, so that the ratio is the cost of the knob beyond them.
    """
    size = AT_ONCE if options.batch_size == "auto" else options.batch_size
    experiment = prepare(options, records=options.dataset.load()[:size])
    loaded, decoding = experiment.loaded, experiment.format.decoding
    decoding = replace(decoding, min_new_tokens=decoding.max_new_tokens)
    reading = read(loaded.model, experiment.sources.batch(range(len(experiment.records))).to(loaded.model.device))
    ids = [record.id for record in experiment.records]

    def cost(name: str, knobs: Sequence[Knob]) -> dict[str, Any]:
        wide = widened(reading, codes_of(knobs, reading))

        def seconds(active: Sequence[Knob]) -> Seconds:
            _, taken = seconds_of(
                lambda: decode(reading if active else wide, ids, [Job(active, 0)], decoding, loaded.target_tokenizer)
            )
            return taken

        seconds([]), seconds(knobs)
        pairs = []
        for repeat in range(options.repeats):
            first, second = ([], knobs) if repeat % 2 == 0 else (knobs, [])
            times = seconds(first), seconds(second)
            pairs.append(times if repeat % 2 == 0 else times[::-1])
        off, on = zip(*pairs, strict=True)
        wall = ratios([one.wall for one in on], [one.wall for one in off])
        cpu = ratios([one.cpu for one in on], [one.cpu for one in off])
        return {
            "knob": name,
            "on/off median": wall.median,
            "min": wall.least,
            "max": wall.most,
            "CPU on/off median": cpu.median,
            "CPU min": cpu.least,
            "CPU max": cpu.most,
            "seconds off": round(median(one.wall for one in off), 3),
            "extra positions": wide.source.input_ids.shape[1] - reading.source.input_ids.shape[1],
            "responses": len(ids),
            "tokens each": decoding.max_new_tokens,
            "repeats": options.repeats,
            "peak MB": peak_megabytes(),
        }

    settings = {name: knobs for name, knobs in experiment.built.settings.items() if knobs}
    others = other_models(knob for knobs in settings.values() for knob in knobs)
    with prepacked(loaded.model, *others):  # as a run does
        return [cost(name, knobs) for name, knobs in settings.items()]


def codes_of(knobs: Sequence[Knob], reading: Reading) -> list[torch.Tensor]:
    """Return the states that ``knobs`` put beside the source, (1, length, width) each."""
    additions = [knob.additions(reading.model, reading.source) for knob in knobs if isinstance(knob, AdditiveKnob)]
    return [code.states for one in additions for code in one.codes]


def widened(reading: Reading, codes: Sequence[torch.Tensor]) -> Reading:
    """Return ``reading`` with as many positions in front as ``codes``, (1, length, width) each, have."""
    length, source = sum(code.shape[1] for code in codes), reading.source
    if not length:
        return reading
    front = source.attention_mask.new_ones(len(source.input_ids), length)
    wide = Source(
        torch.cat([front, source.input_ids], dim=1),
        torch.cat([front, source.attention_mask], dim=1),
        torch.cat([front * BEGIN, source.segments], dim=1),
    )
    return read(reading.model, wide)
