"""How fast the metrics stage is: python scripts/bench_metrics.py [RESPONSES]

Scores that many responses (10,000), half of them of each of two settings, by every metric that needs no judge, with
10,000 resamples. Responses are halves of two texts of parlor put together, so that hardly any two are the same. Prints
seconds and responses per second of each metric, and of resampling them all.
"""

import random
import sys
import time
from dataclasses import replace

from zsc.data.embedded import load_parlor
from zsc.metrics import build_metrics
from zsc.metrics.items import build_columns
from zsc.metrics.options import Resampling
from zsc.metrics.score import cell_statistics, score_statistics
from zsc.tables.render import render

SETTINGS = ("off", "on")


def main(responses: int) -> None:
    rng = random.Random(0)
    parlor, examples = load_parlor(), responses // 2
    texts = [text.split() for record in parlor for text in (record.knowledge, record.reference) if text]
    records = [replace(parlor[i % len(parlor)], id=str(i)) for i in range(examples)]

    def response() -> str:
        one, other = rng.sample(texts, 2)
        return " ".join(one[: len(one) // 2] + other[len(other) // 2 :])

    columns = {}
    for setting in SETTINGS:
        rows = {
            record.id: {"response": response(), "nll": rng.uniform(10, 90), "tokens": rng.randint(5, 40)}
            for record in records
        }
        columns[setting] = build_columns(records, rows, 5, ["Is it far?"], ["guitar", "band"])
    table, statistics = [], {}
    for metric in build_metrics(["all"]):
        started = time.perf_counter()
        statistics[metric] = {(name, 0): cell_statistics(metric, one) for name, one in columns.items()}
        seconds = time.perf_counter() - started
        table.append({"metric": metric.measure, "seconds": seconds})
    started = time.perf_counter()
    scored = {row.metric for row in score_statistics(statistics, SETTINGS, [0], Resampling())}
    table = [row for row in table if row["metric"] in scored]
    table.append({"metric": f"resampling of {len(scored)} metrics", "seconds": time.perf_counter() - started})
    table.append({"metric": "all", "seconds": sum(row["seconds"] for row in table)})
    print(
        render(
            [
                {**row, "seconds": f"{row['seconds']:.2f}", "responses/s": f"{responses / row['seconds']:.0f}"}
                for row in table
            ],
            "table",
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
