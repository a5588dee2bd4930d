"""How often what is decoded beside a row flips a sample: python scripts/flips.py [SEEDS] [EXAMPLES]

Responses of the embedded model to parlor, without a knob and with its knowledge biased by five strengths, are made
twice: all settings side by side, rows taking each other's place as they end and sharing the keys of their sources,
which are without their hidden positions, and linear layers by oneDNN; and by the library's own loop, batch after batch,
one setting at a time, from whole sources. Prints a line for each seed.
"""

import sys
from collections.abc import Iterator

import torch

from zsc.data.options import DatasetOptions
from zsc.generation.batches import ReadBatches
from zsc.generation.generate import Job, decode, response_mask
from zsc.generation.sampling import generation_config
from zsc.generation.slots.loop import Batch, Loop
from zsc.generation.slots.sound import sharing_fault
from zsc.knobs.read import read
from zsc.models.options import ModelOptions
from zsc.models.prepacked import prepacked
from zsc.study.experiment import Experiment, prepare
from zsc.study.options import KnobChoice, KnobOptions, RunOptions

STRENGTHS = [0.5, 2.0, 5.0, 10.0, 20.0]
AT_ONCE, ROWS = 32, 256
Responses = dict[tuple[int, str], list[int]]  # by setting and record


def main(seeds: int, examples: int | None) -> None:
    knob = KnobChoice((KnobOptions("attn_bias", {"strength": STRENGTHS, "profile": "knowledge"}),))
    model, dataset = ModelOptions("mini", None, "cpu"), DatasetOptions(limit=examples)
    experiment = prepare(RunOptions(model=model, dataset=dataset, knob=knob))
    flipped = responses = tokens = 0
    for seed in range(seeds):
        jobs = {number: Job(knobs, seed) for number, knobs in enumerate(experiment.built.settings.values())}
        expected, found = one_by_one(experiment, jobs), side_by_side(experiment, jobs)
        flipped += sum(found[place] != own for place, own in expected.items())
        responses, tokens = responses + len(expected), tokens + sum(map(len, expected.values()))
        print(f"seeds: {seed + 1}, responses: {responses}, tokens: {tokens}, flipped: {flipped}", flush=True)


def side_by_side(experiment: Experiment, jobs: dict[int, Job]) -> Responses:
    loaded, decoding = experiment.loaded, experiment.format.decoding
    read_once = ReadBatches(loaded.model, experiment.sources, AT_ONCE)

    def batches() -> Iterator[Batch]:
        for number in range(len(read_once.rows)):
            rows, reading = read_once.batch(number)
            yield Batch(number, reading, [experiment.records[row].id for row in rows], jobs)

    with prepacked(loaded.model):
        shares = sharing_fault(read_once.batch(0)[1]) is None
        return {
            (said.job, identity): ended(experiment, row)
            for said in Loop(decoding, ROWS, loaded.target_tokenizer, shares).run(batches())
            for identity, row in zip(said.batch.ids, said.tokens, strict=True)
        }


def one_by_one(experiment: Experiment, jobs: dict[int, Job]) -> Responses:
    loaded, decoding, found = experiment.loaded, experiment.format.decoding, {}
    for start in range(0, len(experiment.records), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(experiment.records)))
        reading = read(loaded.model, experiment.sources.batch(rows))
        ids = [experiment.records[row].id for row in rows]
        for number, job in jobs.items():
            for identity, row in zip(ids, decode(reading, ids, [job], decoding), strict=True):
                found[number, identity] = ended(experiment, row)
    return found


def ended(experiment: Experiment, row: torch.Tensor) -> list[int]:
    """Return the tokens of a response, its end included."""
    config = generation_config(experiment.format.decoding, experiment.loaded.model)
    own: list[int] = row[1:][response_mask(row[None], config)[0]].tolist()
    return own


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7, int(sys.argv[2]) if len(sys.argv) > 2 else None)
