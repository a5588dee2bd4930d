"""How fast the metrics stage is, and what it holds: python scripts/bench_metrics.py [RESPONSES]

Scores a run of that many responses (10,000), half of them of each of two settings, by every metric that needs no judge
but TER and has a value here, with 10,000 resamples, from its folder to the rows of its table and its items.csv, and
prints seconds of one core. Responses are halves of two texts of parlor put together, so that hardly any two are the
same. Then each metric alone, which reads the files and splits for itself the texts that metrics share. Memory is what 4
further settings of 500 examples add to the most that Python and numpy hold, for each response and beyond its text.
"""

import json
import random
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from zsc.data.embedded import load_parlor
from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, build_metrics
from zsc.metrics.cells import Cells, store_statistics
from zsc.metrics.item_files import write_items
from zsc.metrics.items import record_columns
from zsc.metrics.judges import Topic
from zsc.metrics.options import Resampling
from zsc.metrics.responses import read_responses
from zsc.metrics.run import control_phrases
from zsc.metrics.score import score_statistics
from zsc.metrics.stored import Stored
from zsc.tables.render import render

SLOW = "reference_ter"
FEW, MANY, EXAMPLES = 4, 8, 500  # settings, and examples of each, whose memory is compared
TURNS, TOPIC = 5, Topic("music", ["guitar", "band"])


def main(responses: int) -> None:
    known = [name for name, build in METRICS.items() if name != SLOW and not build(name).judge]
    with TemporaryDirectory() as parent:
        folder = made(Path(parent) / "timed", responses // 2, 2)
        scoring, resampling, usual = timed(folder, known)
        table = [
            {"what": f"scoring by {len(usual)} metrics", "seconds": scoring},
            {"what": f"resampling of {len(usual)} metrics", "seconds": resampling},
            {"what": "both", "seconds": scoring + resampling},
        ]
        for name in (*usual, SLOW):
            scoring, resampling, _ = timed(folder, [name], resamples=1)
            table.append({"what": f"{name} alone", "seconds": scoring + resampling})
        held = [peak(made(Path(parent) / str(count), EXAMPLES, count), usual) for count in (FEW, MANY)]
        texts = cells_of(RunFolder(Path(parent) / str(MANY))).responses.values()
        own = sum(len(str(row["response"]).encode()) for one in list(texts)[FEW:] for row in one.rows())
    rates = ({"seconds": f"{row['seconds']:.2f}", "responses/s": f"{responses / row['seconds']:.0f}"} for row in table)
    print(render([{**row, **rate} for row, rate in zip(table, rates, strict=True)], "table"))
    further = (MANY - FEW) * EXAMPLES
    beyond, text = (held[1] - held[0] - own) / further / 1000, own / further
    print(f"memory: {beyond:.2f} kB for each further response beyond its text of {text:.0f} bytes")


def made(path: Path, examples: int, settings: int, seeds: int = 1) -> RunFolder:
    """Write a run of so many ``examples``, ``settings`` and ``seeds``."""
    rng, parlor = random.Random(0), load_parlor()
    texts = [text.split() for record in parlor for text in (record.knowledge, record.reference) if text]
    records = [replace(parlor[i % len(parlor)], id=str(i)) for i in range(examples)]
    names = ["off", *(f"on {i}" for i in range(1, settings))]

    def row(setting: str, seed: int, identity: str) -> dict[str, object]:
        one, other = rng.sample(texts, 2)
        said = " ".join(one[: len(one) // 2] + other[len(other) // 2 :])
        likelihood = {"tokens": rng.randint(5, 40), "nll": rng.uniform(10, 90)}
        return {"setting": setting, "seed": seed, "id": identity, "response": said, **likelihood}

    phrases = {name: {"questions": ["Is it far?"]} for name in names[1:]}
    manifest = {"identity": "bench", "settings": names, "seeds": [*range(seeds)], "made_from": {"phrases": phrases}}
    path.mkdir()
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "records.jsonl").write_text("".join(f"{json.dumps(record.to_json())}\n" for record in records))
    folder = RunFolder(path)
    folder.write_rows(row(name, seed, record.id) for seed in range(seeds) for name in names for record in records)
    return folder


def timed(folder: RunFolder, names: Sequence[str], resamples: int = 10_000) -> tuple[float, float, list[str]]:
    """Return the seconds that scoring ``folder`` takes without resampling, files included, those of resampling, and
    which metrics have a value."""
    started = time.process_time()
    manifest, cells = folder.manifest(), cells_of(folder)
    settings, seeds = manifest["settings"], manifest["seeds"]
    metrics = [metric.fitted(cells)[0] for metric in build_metrics([*names])]
    with Stored(metrics, list(cells.responses), len(cells.records), folder.path) as statistics:
        store_statistics(statistics, cells)
        write_items(folder, cells.records, statistics)
        between = time.process_time()
        rows = score_statistics(statistics, settings, seeds, Resampling(resamples))
    return between - started, time.process_time() - between, list(dict.fromkeys(row.metric for row in rows))


def cells_of(folder: RunFolder) -> Cells:
    manifest, records = folder.manifest(), folder.records()
    responses = read_responses(folder, records, manifest["settings"], manifest["seeds"])
    return Cells(records, record_columns(records, TURNS, TOPIC.phrases), responses, control_phrases(folder))


def peak(folder: RunFolder, names: Sequence[str]) -> int:
    """Return the most bytes that are held while ``folder`` is scored."""
    tracemalloc.start()
    timed(folder, names)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
