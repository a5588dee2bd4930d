"""How much shared noise narrows the intervals of differences: python scripts/pairing.py RUN [METRIC ...]

RUN is a finished run with a knob off and on and at least two seeds. The difference of each metric is computed twice
from one response per example and setting: with the same seed for both settings, which then share their noise, and with
different seeds, as if each had noise of its own. Prints the widths of both intervals, averaged over seeds, their
ratio, and how many times as many examples independent noise would take for the same width.
"""

import sys
from itertools import product
from pathlib import Path
from statistics import mean

from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics import build_metrics
from zsc.metrics.items import build_columns
from zsc.metrics.options import Resampling
from zsc.metrics.responses import read_responses
from zsc.metrics.run import control_phrases
from zsc.metrics.score import DIFFERENCE, cell_statistics, score_statistics
from zsc.tables.render import render

METRICS = ["knowledge_rouge1", "question_rate", "length", "distinct2", "perplexity_median"]


def main(folder: RunFolder, names: list[str]) -> None:
    manifest, records = folder.manifest(), folder.records()
    (off, on, *_), seeds = manifest["settings"], manifest["seeds"]
    if len(seeds) < 2:
        raise ZscError(f"{folder.path} has one seed: make a run with at least two, such as seeds=[0,1,2].")
    phrases = control_phrases(folder)
    columns = {
        (setting, seed): build_columns(
            records, {row["id"]: row for row in said.rows()}, 5, phrases[setting], phrases[setting]
        )
        for (setting, seed), said in read_responses(folder, records, [off, on], seeds).items()
    }
    table = []
    for metric in build_metrics(names):
        statistics = {place: cell_statistics(metric, texts) for place, texts in columns.items()}
        widths: dict[bool, list[float]] = {True: [], False: []}
        for one, other in product(seeds, seeds):
            pair = {metric: {("off", 0): statistics[off, one], ("on", 0): statistics[on, other]}}
            rows = score_statistics(pair, ["off", "on"], [0], Resampling(resamples=2000))
            widths[one == other] += [row.high - row.low for row in rows if row.setting == DIFFERENCE]
        if widths[True]:
            shared, own = mean(widths[True]), mean(widths[False])
            table.append(
                {
                    "metric": metric.measure,
                    "width, shared noise": f"{shared:.4f}",
                    "width, own noise": f"{own:.4f}",
                    "ratio": f"{shared / own:.2f}",
                    "examples saved": f"{(own / shared) ** 2:.2f}x",
                }
            )
    print(f"{on} minus {off}, {len(records)} examples, {len(seeds)} seeds\n")
    print(render(table, "md"))


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])), sys.argv[2:] or METRICS)
