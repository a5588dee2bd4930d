"""Ways to make responses to the same examples: ours, with settings side by side or one alone, and the library's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from zsc.errors import ZscError
from zsc.generation.cells import Cell, Place
from zsc.generation.decoding import Decoding
from zsc.generation.generate import Job, response_mask
from zsc.generation.pieces import Task
from zsc.generation.sampling import DRAWING, OF_PROMPT, generation_config
from zsc.generation.stop import stopping
from zsc.knobs.anatomy import is_causal
from zsc.study.experiment import Experiment
from zsc.study.filling import filler, room_of
from zsc.study.timing import Seconds, seconds_of


@dataclass(frozen=True)
class Measured:
    """The time that so many ``responses`` took, and how many ``tokens`` they have together, end tokens included."""

    seconds: Seconds
    responses: int
    tokens: int


class Strict:
    """A watcher to whom nothing may be said."""

    def advance(self, responses: int) -> None:
        pass

    def note(self, message: str) -> None:
        raise ZscError(f"{message} Set batch_size to what there is room for: a benchmark must not change on the way.")


def ours(experiment: Experiment, places: Sequence[Place]) -> Measured:
    """Fill new cells of ``places``, as a run does: from encoding the examples to the mark of the last cell."""
    with TemporaryDirectory() as folder:
        tasks = [
            Task(
                Cell(Path(folder), experiment.cells[name, seed].spec, experiment.cells[name, seed].ids),
                Job(experiment.built.settings[name], seed),
                None,
            )
            for name, seed in places
        ]
        _, seconds = seconds_of(lambda: filler(experiment, Strict()).fill(tasks))
        items = [item for task in tasks for item in task.cell.responses()]
    return Measured(seconds, len(items), sum(item["tokens"] for item in items))


@torch.inference_mode()
def plain(experiment: Experiment) -> Measured:
    """Let the library's own ``generate`` make a response to every example, batch by batch, as its users call it, and
    decode its text: without knobs, likelihoods and storage."""
    model: Any = experiment.loaded.model
    tokenizer, size = experiment.loaded.target_tokenizer, room_of(experiment).read
    decoding = experiment.format.decoding
    config = plain_config(decoding, model)

    def loop() -> list[torch.Tensor]:
        made = []
        for start in range(0, len(experiment.records), size):
            source = experiment.sources.batch(range(start, min(start + size, len(experiment.records))))
            source = source.to(model.device)
            sequences = model.generate(
                input_ids=source.input_ids,
                attention_mask=source.attention_mask,
                generation_config=config,
                **stopping(decoding, tokenizer),
            )
            before = source.input_ids.shape[1] - 1 if is_causal(model) else 0
            tokenizer.batch_decode(sequences[:, before + 1 :], skip_special_tokens=True)
            made.append(sequences[:, before:])
        return made

    torch.manual_seed(experiment.seeds[0])
    made, seconds = seconds_of(loop)
    tokens = sum(int(response_mask(sequences, config).sum()) for sequences in made)
    return Measured(seconds, len(experiment.records), tokens)


def plain_config(decoding: Decoding, model: PreTrainedModel) -> GenerationConfig:
    """Return ``decoding`` for the library, which draws tokens with noise of its own."""
    config = generation_config(decoding, model)
    names = (*(DRAWING[1:] if decoding.sample else ()), *OF_PROMPT)
    config.update(do_sample=decoding.sample, **{name: getattr(decoding, name) for name in names})
    return config
