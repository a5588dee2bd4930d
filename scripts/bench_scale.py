"""How scoring grows with a run: python scripts/bench_scale.py [EXAMPLES ...] [--settings 2] [--seeds 2] [--metrics ...]

Scores runs of 1,000, 10,000 and 100,000 EXAMPLES, or of those given, with so many settings and seeds each, by the
METRICS given, or every metric that needs no judge but TER, and by a judge that is no model, as if it were a neural one,
from the folder to scores.json and the file of items, each in a process of its own.
Prints CPU seconds, those of a million responses, the most memory that the process held (resident, in GB), and the
exponents with which seconds and memory grow from one size to the next: 1 is in proportion. What is scored is that of
bench_metrics.py; a run of 100,000 examples, 10 settings and 5 seeds has 5 million responses, and takes 1.5 GB of disk
for these and 5 GB, while it is scored, for their statistics.
"""

import json
import math
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_metrics import SLOW, TOPIC, TURNS, made

from zsc.generation.folder import RunFolder
from zsc.metrics import METRICS, build_metrics
from zsc.metrics.options import Resampling
from zsc.metrics.run import score_run
from zsc.tables.render import render

BATCH = 512
SCORE = "--score"  # how the program calls itself


class Length:
    """A judge that takes no time: the characters of a text for its likelihood."""

    columns, signature = ("judge_nll", "judge_tokens"), "length"

    def batches(self, texts: Sequence[str]) -> Iterable[list[str]]:
        return ([*texts[start : start + BATCH]] for start in range(0, len(texts), BATCH))

    def judge(self, batch: list[str]) -> list[list[float] | None]:
        return [[float(len(text)), 1.0] for text in batch]


def main(sizes: list[int], settings: int, seeds: int, resamples: int, metrics: list[str], parent: Path | None) -> None:
    rows: list[dict[str, str]] = []
    before: tuple[int, float, float] | None = None
    for examples in sizes:
        with TemporaryDirectory(dir=parent) as folder:
            run = made(Path(folder) / "run", examples, settings, seeds)
            command = [sys.executable, __file__, SCORE, str(run.path), str(resamples), *metrics]
            measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        seconds, memory, responses = measured["seconds"], measured["bytes"], examples * settings * seeds
        row = {"examples": f"{examples:,}", "responses": f"{responses:,}", "seconds": f"{seconds:.1f}"}
        row |= {"per million": f"{1e6 * seconds / responses:.0f}", "GB": f"{memory / 1e9:.2f}"}
        if before is not None:
            grown = math.log(examples / before[0])
            row["exponents"] = ", ".join(
                f"{math.log(now / then) / grown:.2f}" for now, then in ((seconds, before[1]), (memory, before[2]))
            )
        rows.append(row)
        before = (examples, seconds, memory)
    print(render(rows, "table"))


def score(path: Path, resamples: int, names: list[str]) -> None:
    """Score the run at ``path``, and print what it took: CPU seconds, and the most bytes that were resident."""
    names = names or [name for name, build in METRICS.items() if name != SLOW and not build(name).judge]
    metrics = build_metrics([*names, *(name for name in METRICS if name.startswith("judge_perplexity"))])
    folder, unwatched = RunFolder(path), nullcontext(lambda count: None)
    score_run(folder, metrics, [Length()], TOPIC, TURNS, Resampling(resamples), lambda judge, items: unwatched)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": time.process_time(), "bytes": most}))


if __name__ == "__main__":
    if SCORE in sys.argv:
        score(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        parser = ArgumentParser()
        parser.add_argument("examples", nargs="*", type=int, default=[1000, 10_000, 100_000])
        parser.add_argument("--settings", type=int, default=2)
        parser.add_argument("--seeds", type=int, default=2)
        parser.add_argument("--resamples", type=int, default=10_000)
        parser.add_argument("--metrics", nargs="*", default=[])
        parser.add_argument("--folder", type=Path, help="where runs lie while they are scored")
        given = parser.parse_args()
        main(given.examples, given.settings, given.seeds, given.resamples, given.metrics, given.folder)
