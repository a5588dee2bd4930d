"""`zsc annotate`: export blind pairs of responses for people to judge, and read their answers back."""

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zsc.cli.configs import dotted
from zsc.cli.counts import check_count
from zsc.cli.words import is_path, unknown_setting
from zsc.errors import ZscError, first_line
from zsc.files import write_atomic
from zsc.generation.folder import RunFolder
from zsc.metrics.run import finished
from zsc.tables.annotation import QUESTIONS, draw_pairs, form, sheet
from zsc.tables.preference import merged, preference_rows, read_votes
from zsc.tables.render import check_format, render

DEFAULTS: dict[str, Any] = {
    "setting": None,
    "seed": None,
    "count": 50,
    "shuffle": 0,
    "questions": list(QUESTIONS),
    "output": None,
    "answers": None,
    "format": "table",
}
FREE = re.compile("setting|output|answers")  # settings whose values stand as they are


def annotate(arguments: list[str]) -> None:
    """Export pairs of the run folder named first, or with ``answers=[FILE,...]`` read a folder of pairs back."""
    if not arguments or not is_path(arguments[0]):
        raise ZscError("zsc annotate needs the folder of a run, or one it made: zsc annotate FOLDER [key=value ...].")
    options = parse(arguments[1:])
    folder = Path(arguments[0])
    if options["answers"] is None:
        export(RunFolder(folder), options)
    else:
        read_back(folder, options)


def parse(arguments: list[str]) -> dict[str, Any]:
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals or key not in DEFAULTS:
            raise ZscError(unknown_setting("annotate", argument, DEFAULTS))
    given: Any = OmegaConf.to_container(dotted(arguments, FREE, lists=("answers",)))
    options = DEFAULTS | given
    check_format(options["format"])
    check_count("count", options["count"])
    if type(options["shuffle"]) is not int:
        raise ZscError(f"shuffle={options['shuffle']} must be a whole number.")
    questions = options["questions"]
    if not isinstance(questions, list) or not questions or not set(questions) <= set(QUESTIONS):
        raise ZscError(f"questions={questions} must be a list of some of {', '.join(QUESTIONS)}.")
    return options


def export(run: RunFolder, options: dict[str, Any]) -> None:
    """Write pairs.csv, form.html and key.json, and print where they are."""
    made = run.manifest()
    if not made:
        raise ZscError(f"{run.path} is not the folder of a run. `zsc run` makes one.")
    (off, *others), seeds = made["settings"], made["seeds"]
    setting, seed = options["setting"], seeds[0] if options["seed"] is None else options["seed"]
    if setting is None and len(others) == 1:
        setting = others[0]
    if not others:
        raise ZscError(f"{run.path} holds one setting, {off}: a pair needs two.")
    if setting not in others:
        raise ZscError(f"setting={setting} must name one of: {'; '.join(others)}.")
    if seed not in seeds:
        raise ZscError(f"seed={seed} must be one of {', '.join(map(str, seeds))}.")
    records = run.records()
    cells = finished(records, run.rows(), [off, setting], [seed])
    said = {name: {i: row["response"] for i, row in cells[name, seed].items()} for name in (off, setting)}
    pairs = draw_pairs(records, said[off], said[setting], options["count"], options["shuffle"])
    same = [pair.number for pair in pairs if pair.a == pair.b]
    key = {
        "run": made["identity"],
        "off": off,
        "on": setting,
        "seed": seed,
        "questions": options["questions"],
        "identical": same,
        "on_side": {str(pair.number): pair.on_side for pair in pairs},
        "ids": {str(pair.number): pair.record.id for pair in pairs},
    }
    chosen = json.dumps(
        [made["identity"], setting, seed, options["count"], options["shuffle"], options["questions"]], allow_nan=False
    )
    name = hashlib.sha256(chosen.encode()).hexdigest()[:8]
    folder = Path(str(options["output"] or run.path / f"annotation-{name}"))
    files = {
        "pairs.csv": sheet(pairs, options["questions"]),
        "form.html": form(pairs, options["questions"], f"Which response is better? ({name})"),
        "key.json": json.dumps(key, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
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
    print(f"{len(pairs)} pairs, {len(same)} of them of the same text, in {folder}")
    print("give out form.html or pairs.csv, and keep key.json to yourself; then:")
    print(f"  zsc annotate {shlex.quote(str(folder))} 'answers=[FILE,...]'")


def read_back(folder: Path, options: dict[str, Any]) -> None:
    """Print how often the response with the knob is preferred, question by question."""
    file = folder / "key.json"
    if not file.is_file():
        raise ZscError(f"{folder} holds no key.json: name the folder that `zsc annotate RUN` has made.")
    try:
        key = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ZscError(f"{file} is broken ({first_line(error)}). Export again with output=FOLDER.") from error
    names = options["answers"] if isinstance(options["answers"], list) else [options["answers"]]
    if not names:
        raise ZscError("answers=[] names no file.")
    sheets = {Path(str(name)): read_votes(Path(str(name)), key["on_side"], key["questions"]) for name in names}
    votes = merged(sheets)
    if not any(votes.values()):
        raise ZscError(f"no answer in {', '.join(map(str, names))}.")
    rows = preference_rows(votes, len(key["on_side"]))
    if options["format"] in ("table", "md"):
        print(f"{key['on']} preferred to {key['off']}, {len(key['on_side'])} pairs\n")
        rows = [{name: _shown(value) for name, value in row.items()} for row in rows]
    print(render(rows, options["format"]))


def _shown(value: Any) -> Any:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else value
