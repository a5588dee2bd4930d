"""`zsc bench`: what a knob costs, as ratios of times measured in turn within one run."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from zsc.data.source import BEGIN, Source
from zsc.errors import ZscError
from zsc.generation.checks import check_settings
from zsc.generation.generate import Job, decode
from zsc.knobs import AdditiveKnob, Knob
from zsc.knobs.read import read
from zsc.knobs.reading import Reading
from zsc.models.load import load_model
from zsc.study.bench_sweep import bench_sweep
from zsc.study.formats import format_of
from zsc.study.knobs import build_settings, count_settings
from zsc.study.memory import peak_megabytes
from zsc.study.options import BenchOptions
from zsc.study.watch import Watch


def bench(options: BenchOptions, watch: Watch) -> dict[str, Any]:
    """Return a row of what one setting of a knob costs, or of what several settings cost together."""
    if not options.knob.parts:
        raise ZscError("zsc bench needs a knob, such as knob=attn_bias.")
    if count_settings(options.knob) == 1:
        return bench_knob(options)
    return bench_sweep(options, max(1, options.repeats // 5), watch)


def bench_knob(options: BenchOptions) -> dict[str, Any]:
    """Return a row with time(knob on) / time(knob off) of one batch, every response as many tokens long.

    Where knobs put codes beside the source, the unmodified model reads as many more positions, so that the ratio is the
    cost of the knob beyond them.
    """
    records = options.dataset.load()[: options.batch_size]
    loaded = load_model(**asdict(options.model))
    format = format_of(options, loaded)
    decoding = replace(format.decoding, min_new_tokens=format.decoding.max_new_tokens)
    sources, _ = format.lay_out(records, loaded)
    source = sources.batch(range(len(records))).to(loaded.model.device)
    name, knobs = list(build_settings([options.knob], options.model, loaded).settings.items())[-1]
    check_settings(loaded, {name: knobs}, records, sources)
    reading = read(loaded.model, source)
    ids = [record.id for record in records]

    additions = [knob.additions(loaded.model, source) for knob in knobs if isinstance(knob, AdditiveKnob)]
    codes = [code.states for one in additions for code in one.codes]
    wide = widened(reading, codes)

    def seconds(active: Sequence[Knob]) -> float:
        started = time.perf_counter()
        decode(reading if active else wide, ids, [Job(active, 0)], decoding, loaded.target_tokenizer)
        if loaded.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    seconds([]), seconds(knobs)
    pairs = []
    for repeat in range(options.repeats):
        first, second = ([], knobs) if repeat % 2 == 0 else (knobs, [])
        times = seconds(first), seconds(second)
        pairs.append(times if repeat % 2 == 0 else times[::-1])
    ratios = [on / off for off, on in pairs]
    return {
        "knob": name,
        "on/off median": round(statistics.median(ratios), 4),
        "min": round(min(ratios), 4),
        "max": round(max(ratios), 4),
        "seconds off": round(statistics.median(off for off, _ in pairs), 3),
        "extra positions": wide.source.input_ids.shape[1] - source.input_ids.shape[1],
        "responses": len(records),
        "tokens each": decoding.max_new_tokens,
        "repeats": options.repeats,
        "peak MB": peak_megabytes(),
    }


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
