"""Blind pairs of responses for people to judge: drawn from a run, and read back."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, first_line
from zsc.files import write_atomic
from zsc.generation.ellipsis import as_shown
from zsc.generation.folder import RunFolder
from zsc.metrics.responses import read_responses
from zsc.study.options import AnnotateOptions
from zsc.study.preference import LeftOut, merged, preference_rows, read_votes
from zsc.study.watch import Watch
from zsc.tables.annotation import draw_pairs, form, sheet


@dataclass(frozen=True)
class Exported:
    """Where pairs lie, and how many."""

    folder: Path
    pairs: int


@dataclass(frozen=True)
class Judged:
    """How often the setting ``on`` is preferred to ``off``, a row for each question, of so many pairs; ``left_out`` is
    None for pairs of earlier versions, which left none out."""

    on: str
    off: str
    pairs: int
    left_out: LeftOut | None
    rows: Sequence[dict[str, Any]]

    @property
    def summary(self) -> str:
        """What the rows are of."""
        if self.left_out is None:
            return f"{self.on} preferred to {self.off}, {self.pairs} pairs"
        return (
            f"{self.on} preferred to {self.off}: of the {self.pairs} judged pairs, which differ; overall: with the"
            f" {self.left_out.identical} of {self.left_out.examples} examples whose two responses are the same text as"
            " ties"
        )


def export(run: RunFolder, options: AnnotateOptions, watch: Watch) -> Exported:
    """Write pairs.csv, form.html and key.json of examples whose two responses differ, and say how many do not.

    Raises ZscError where none differ, and where somebody's answers may lie.
    """
    if not options.questions:
        raise ZscError("questions=[] asks nothing: give some of fluent, informative, fits.")
    manifest = run.manifest()
    if not manifest:
        raise ZscError(f"{run.path} is not the folder of a run. `zsc run` makes one.")
    (off, *others), seeds = manifest["settings"], manifest["seeds"]
    setting, seed = options.setting, seeds[0] if options.seed is None else options.seed
    if setting is None and len(others) == 1:
        setting = others[0]
    if not others:
        raise ZscError(f"{run.path} holds one setting, {off}: a pair needs two.")
    if setting is None or setting not in others:
        raise ZscError(f"setting={setting} must name one of: {'; '.join(others)}.")
    if seed not in seeds:
        raise ZscError(f"seed={seed} must be one of {', '.join(map(str, seeds))}.")
    records = run.records()
    cells = read_responses(run, records, [off, setting], [seed])
    rows = {name: {row["id"]: row for row in cells[name, seed].rows()} for name in (off, setting)}
    differing = [one for one in records if rows[off][one.id]["response"] != rows[setting][one.id]["response"]]
    left_out = LeftOut(len(records) - len(differing), len(records))
    if not differing:
        raise ZscError(
            f"{setting} and {off} say the same to all {len(records)} examples (seed={seed}): there is nothing to judge."
            " Choose another setting or seed."
        )
    if left_out.identical:
        watch.say(
            f"left out: {left_out.identical} of {left_out.examples} examples, whose two responses are the same text;"
            " they count as ties"
        )
    if len(differing) < options.count:
        watch.say(
            f"count={options.count}: only {len(differing)} examples have two responses that differ; all are taken"
        )
    shown = {name: {i: as_shown(row) for i, row in own.items()} for name, own in rows.items()}
    pairs = draw_pairs(differing, shown[off], shown[setting], options.count, options.shuffle)
    questions = list(options.questions)
    key = {
        "run": manifest["identity"],
        "off": off,
        "on": setting,
        "seed": seed,
        "questions": questions,
        "left_out": asdict(left_out),
        "on_side": {str(pair.number): pair.on_side for pair in pairs},
        "ids": {str(pair.number): pair.record.id for pair in pairs},
    }
    chosen = [manifest["identity"], setting, seed, options.count, options.shuffle, questions, asdict(left_out)]
    name = hashlib.sha256(json.dumps(chosen, allow_nan=False).encode()).hexdigest()[:8]
    folder = Path(options.output or run.path / f"annotation-{name}")
    write(folder, {
        "pairs.csv": sheet(pairs, questions),
        "form.html": form(pairs, questions, f"Which response is better? ({name})"),
        "key.json": json.dumps(key, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    })  # fmt: skip
    return Exported(folder, len(pairs))


def write(folder: Path, files: dict[str, str]) -> None:
    """Write ``files``, unless others of their names are there that may hold somebody's answers."""
    for name in ("pairs.csv", "key.json"):
        there = folder / name
        if there.exists() and (not there.is_file() or there.read_bytes() != files[name].encode()):
            raise ZscError(f"{there} is there and differs: it may hold somebody's answers. Set output=FOLDER.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            write_atomic(folder / file, text)
    except OSError as error:
        raise ZscError(f"cannot write {folder}: {error.strerror or error}. Set output=FOLDER.") from error


def read_back(folder: Path, answers: Sequence[str]) -> Judged:
    """Return how often the response with the knob is preferred, question by question, by the sheets ``answers``."""
    file = folder / "key.json"
    if not file.is_file():
        raise ZscError(f"{folder} holds no key.json: name the folder that `zsc annotate RUN` has made.")
    try:
        key = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ZscError(f"{file} is broken ({first_line(error)}). Export again with output=FOLDER.") from error
    if not answers:
        raise ZscError("answers=[] names no file.")
    votes = merged({Path(name): read_votes(Path(name), key["on_side"], key["questions"]) for name in answers})
    if not any(votes.values()):
        raise ZscError(f"no answer in {', '.join(answers)}.")
    pairs, left_out = len(key["on_side"]), LeftOut(**key["left_out"]) if "left_out" in key else None
    return Judged(key["on"], key["off"], pairs, left_out, preference_rows(votes, pairs, left_out))
