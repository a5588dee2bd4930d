"""`zsc bench`: what a knob costs, as ratios of times measured in turn within one run."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from omegaconf import DictConfig

from zsc.cli.bench_sweep import bench_sweep
from zsc.cli.build import build_layout, build_settings, check_count, count_settings, knob_parts
from zsc.cli.configs import resolved
from zsc.cli.memory import peak_megabytes
from zsc.data import load_records
from zsc.data.layout import BEGIN, Source
from zsc.errors import ZscError
from zsc.generation.checks import check_lengths, check_settings
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, decode
from zsc.knobs import AdditiveKnob, Knob
from zsc.knobs.encoder import encode
from zsc.models.load import load_model
from zsc.tables.render import check_format, render


def bench(cfg: DictConfig) -> None:
    """Print what one setting of a knob costs, or what several settings cost together."""
    config = resolved(cfg)
    check_format(config["format"])
    if not knob_parts(config["knob"]):
        raise ZscError("zsc bench needs a knob, such as knob=attn_bias.")
    repeats = check_count("repeats", config["repeats"])
    row = (
        bench_knob(config, repeats)
        if count_settings(config["knob"]) == 1
        else bench_sweep(config, max(1, repeats // 5))
    )
    print(render([row], config["format"]))


def bench_knob(config: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return a row with time(knob on) / time(knob off) of one batch, every response as many tokens long.

    Where knobs put codes beside the source, the unmodified model reads as many more positions, so that the ratio is the
    cost of the knob beyond them.
    """
    decoding = Decoding.from_settings(config["decoding"])
    decoding = replace(decoding, min_new_tokens=decoding.max_new_tokens)
    batch_size, layout = check_count("batch_size", config["batch_size"]), build_layout(config["layout"])
    records = load_records(**config["dataset"])[:batch_size]
    loaded = load_model(**config["model"])
    check_lengths(loaded.model, layout.positions, decoding.max_new_tokens)
    source = layout.encode(records, loaded.tokenizer).to(loaded.model.device)
    name, knobs = list(build_settings(config["knob"], config["model"], loaded).settings.items())[-1]
    check_settings(loaded, {name: knobs}, records, source)
    states = encode(loaded.model, source)
    ids = [record.id for record in records]

    additions = [knob.additions(loaded.model, source) for knob in knobs if isinstance(knob, AdditiveKnob)]
    codes = [code.states for one in additions for code in one.codes]
    wide_source, wide_states = widened(source, states, codes)

    def seconds(active: Sequence[Knob]) -> float:
        read = (source, states) if active else (wide_source, wide_states)
        started = time.perf_counter()
        decode(loaded.model, *read, ids, [Job(active, 0)], decoding)
        if loaded.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    seconds([]), seconds(knobs)
    pairs = []
    for repeat in range(repeats):
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
        "extra positions": wide_states.shape[1] - states.shape[1],
        "responses": len(records),
        "tokens each": decoding.max_new_tokens,
        "repeats": repeats,
        "peak MB": peak_megabytes(),
    }


def widened(source: Source, states: torch.Tensor, codes: Sequence[torch.Tensor]) -> tuple[Source, torch.Tensor]:
    """Return ``source`` and its ``states`` with ``codes``, (1, length, width) each, in front."""
    if not codes:
        return source, states
    code = torch.cat(list(codes), dim=1).expand(states.shape[0], -1, -1)
    front = source.attention_mask.new_ones(code.shape[:2])
    wide = Source(
        torch.cat([front, source.input_ids], dim=1),
        torch.cat([front, source.attention_mask], dim=1),
        torch.cat([front * BEGIN, source.segments], dim=1),
    )
    return wide, torch.cat([code, states], dim=1)
