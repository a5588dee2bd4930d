"""What commands cost that generate nothing: python scripts/bench_startup.py [EXAMPLES] [REPEATS]

Makes a run of attention biasing on so many examples (240) and three seeds of parlor, in a folder of its own, and then
prints the seconds of CPU, the least of so many repeats (3), of commands that find all responses there.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from zsc.tables.render import render

ROOT = Path(__file__).parents[1]
TABLE = """title: Finished cells
columns: [knowledge_precision, knowledge_rouge1, distinct2, perplexity_median]
groups:
  - runs: ["knob=attn_bias"]
"""


def zsc(folder: Path, *words: str) -> float:
    """Run a command in ``folder`` and return the seconds of CPU that it takes."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "zsc", *words],
        cwd=folder, env=os.environ | {"PYTHONPATH": paths}, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(examples: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "own" / "table").mkdir(parents=True)
        (folder / "own" / "table" / "finished.yaml").write_text(TABLE, encoding="utf-8")
        run = ("run", "knob=attn_bias", f"dataset.limit={examples}", "output=made")
        print(f"making {examples} examples: {zsc(folder, *run):.1f} s", file=sys.stderr)
        commands = {
            "zsc ls": ("ls",),
            "zsc score RUN": ("score", "made"),
            "zsc table, every cell found": (
                "table", "finished", "--config-dir", "own", f"dataset.limit={examples}", "output=table",
            ),
            "zsc run, every cell found": run,
        }  # fmt: skip
        rows = [
            {"command": command, "CPU seconds": f"{min(zsc(folder, *words) for _ in range(repeats)):.2f}"}
            for command, words in commands.items()
        ]
    print(render(rows, "table"))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(240, 3)[len(given) :])
