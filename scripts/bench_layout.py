"""Time and memory of laying out many records: dialogues whose records share turns, by buckets and by a template.

usage: OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false python scripts/bench_layout.py [buckets|template] [RECORDS]

The texts are those of the embedded dialogues with their words shuffled; the tokenizer is that of the embedded model.
Run it once for each layout: the memory is the most that the process had.
"""

import random
import resource
import sys
import time

from zsc.data.embedded import load_parlor
from zsc.data.layouts import BucketLayout, TemplateLayout
from zsc.data.record import Record, Turn
from zsc.models.load import load_reader

LAYOUTS = {
    "buckets": BucketLayout(),
    "template": TemplateLayout("{#knowledge}{knowledge} | {/knowledge}{history}", joiner=" EOS ", turns=5),
}


def records(count: int) -> list[Record]:
    """Return ``count`` records of dialogues of 4 to 22 turns, as many for each as it has responses."""
    rng, parlor = random.Random(0), load_parlor()
    said, known = [turn.text for one in parlor for turn in one.history], [one.knowledge or "" for one in parlor]

    def shuffled(text: str) -> str:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words)

    made: list[Record] = []
    while len(made) < count:
        turns = [Turn("ab"[i % 2], shuffled(rng.choice(said))) for i in range(rng.randint(4, 22))]
        knowledge = [shuffled(rng.choice(known)) for _ in range(4)]
        for i in range(1, len(turns)):
            made.append(Record(f"r{len(made)}", tuple(turns[:i]), turns[i].text, rng.choice(knowledge)))
    return made[:count]


def main() -> None:
    """Lay out and print."""
    name = sys.argv[1] if len(sys.argv) > 1 else "buckets"
    made = records(int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
    _, tokenizer = load_reader("mini")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, used = time.perf_counter(), time.process_time()
    sources, _ = LAYOUTS[name].lay_out(made, tokenizer, 512)
    clock, used = time.perf_counter() - clock, time.process_time() - used
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{name}: {len(sources):,} records of {sources.lengths.mean():.0f} tokens in {clock:.1f} s ({used:.1f} s of one"
        f" processor), {most / 1e6:.2f} GB at most, {(most - before) / 1e6:.2f} GB of it for the layout"
    )


if __name__ == "__main__":
    main()
