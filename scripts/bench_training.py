"""What freezing saves: python scripts/bench_training.py [MODEL] [--trainings DIR] [--repeats N] [--batch-size N]
                                                      [--format FORMAT]

With --trainings, the ways of freezing are those of the trainings in DIR, the model is by default what these began with,
and the ratios of time go to DIR/costs.json, from where `zsc table train_less trained=DIR` takes them.

In one run, on one model (mini) and the same batches of parlor: for each way to freeze, the median time of an
optimiser step (forward, backward, AdamW; fp32), the bytes that a forward pass keeps for the backward pass, and the
bytes of the optimiser's state. Times are compared repeat by repeat, each of which goes through all ways, every
other time in the reverse order; ratios are to full fine-tuning, as medians over repeats, that of
time with the least and the greatest.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from zsc.data.embedded import load_parlor
from zsc.data.layouts import BucketLayout
from zsc.files import write_atomic
from zsc.models.load import load_model
from zsc.study.stored import stored_training
from zsc.tables.render import render
from zsc.training.finished import COSTS, Training, read_trainings
from zsc.training.freeze import freeze
from zsc.training.measure import now, optimiser_bytes, saved_activations
from zsc.training.shares import weight_shares
from zsc.training.text_to_text import TextCollator

WAYS: list[list[str]] = [
    [],
    ["self_attention"],
    ["self_attention", "feed_forward"],
    ["encoder", "embeddings"],
    ["encoder", "embeddings", "self_attention"],
    ["encoder", "embeddings", "self_attention", "feed_forward"],
]
BATCHES = 3
TARGET_TOKENS = 40

Batch = dict[str, torch.Tensor]


def optimiser_for(model: PreTrainedModel, frozen: list[str]) -> torch.optim.Optimizer:
    """Freeze ``frozen``, and nothing else, and return an optimiser of the rest."""
    model.requires_grad_(True)
    freeze(model, frozen)
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)


def step(model: PreTrainedModel, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    """Make one step and return its seconds."""
    started = now()
    model(**batch).loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return now() - started


def measure(model: PreTrainedModel, frozen: list[str], batches: list[Batch]) -> dict[str, Any]:
    """Return seconds per step (median over ``batches``) and bytes; the first step, which makes the state, is extra."""
    optimiser = optimiser_for(model, frozen)
    step(model, optimiser, batches[0])
    seconds = statistics.median(step(model, optimiser, batch) for batch in batches)
    with saved_activations(model) as saved:
        model(**batches[0])
        kept = saved.bytes
    counted = weight_shares(model)
    shares = {"trained / all": counted["all"]["share"], "without embeddings": counted["without_embeddings"]["share"]}
    counts = {"weights": counted["all"]["weights"], "trained": counted["all"]["trained"]}
    return shares | counts | {"seconds": seconds, "kept": kept, "state": optimiser_bytes(optimiser)}


def ways(trainings: Sequence[Training]) -> list[list[str]]:
    """Return the ways of freezing of ``trainings``, nothing frozen first, then by trained weights."""
    trained = {training.frozen: training.plan["all"]["trained"] for training in trainings if training.frozen}
    return [[], *(sorted(frozen) for frozen in sorted(trained, key=lambda one: -trained[one]))]


def started_from(trainings: Sequence[Training]) -> str:
    """Return the checkpoint that ``trainings`` began with, mini without any."""
    if not trainings:
        return "mini"
    return str(stored_training(trainings[0].folder / "config.yaml").objective.options.checkpoint)


def times(results: list[dict[str, Any]], full: list[dict[str, Any]]) -> list[float]:
    """Return the time of a way to freeze, relative to full fine-tuning: median, least and greatest over repeats."""
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(results, full, strict=True)]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def row(frozen: list[str], results: list[dict[str, Any]], full: list[dict[str, Any]]) -> dict[str, str]:
    """Return one line of the table: ``results`` repeats of a way to freeze against those of ``full`` fine-tuning."""

    def ratio(field: str) -> str:
        return f"{results[0][field] / full[0][field]:.2f}"

    return {
        "frozen": " + ".join(frozen) or "nothing",
        "trained / all": f"{results[0]['trained / all']:.1%}",
        "without embeddings": f"{results[0]['without embeddings']:.1%}",
        "ms per step": f"{1000 * statistics.median(one['seconds'] for one in results):.0f}",
        "time": "{:.2f} [{:.2f}, {:.2f}]".format(*times(results, full)),
        "activations MB": f"{results[0]['kept'] / 2**20:.1f}",
        "activations": ratio("kept"),
        "optimiser MB": f"{results[0]['state'] / 2**20:.1f}",
        "optimiser": ratio("state"),
    }


def main(checkpoint: str | None, folder: Path | None, repeats: int, batch_size: int, style: str) -> None:
    trainings = [] if folder is None else read_trainings(folder)[0]
    chosen = WAYS if folder is None else ways(trainings)
    checkpoint = checkpoint or started_from(trainings)
    loaded = load_model(checkpoint)
    model = loaded.model.train()
    collate = TextCollator(BucketLayout(), loaded, TARGET_TOKENS)
    records = load_parlor()[: BATCHES * batch_size]
    batches = [
        {name: tensor.to(model.device) for name, tensor in collate(records[start : start + batch_size]).items()}
        for start in range(0, len(records), batch_size)
    ]
    measured: list[list[dict[str, Any]]] = [[] for _ in chosen]
    for repeat in range(-1, repeats):  # the first warms up
        order = range(len(chosen)) if repeat % 2 == 0 else reversed(range(len(chosen)))
        for place in order:
            one = measure(model, chosen[place], batches)
            measured[place] += [one] if repeat >= 0 else []
    print(
        f"{checkpoint}, {len(batches)} batches of {batch_size}, {repeats} repeats, {model.device},"
        f" {torch.get_num_threads()} threads",
        file=sys.stderr,
    )
    print(render([row(frozen, results, measured[0]) for frozen, results in zip(chosen, measured, strict=True)], style))
    if folder is not None:
        costs = {
            "model": checkpoint,
            "device": str(model.device),
            "precision": str(model.dtype).removeprefix("torch."),
            "weights": measured[0][0]["weights"],
            "ways": [
                {"frozen": frozen, "trained": results[0]["trained"], "time": times(results, measured[0])}
                for frozen, results in zip(chosen, measured, strict=True)
            ],
        }
        write_atomic(folder / COSTS, json.dumps(costs, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--trainings", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--format", default="table")
    given = parser.parse_args()
    main(given.model, given.trainings, given.repeats, given.batch_size, given.format)
