"""Score a finished run again, or the responses of other systems."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zsc.data.layouts import BucketLayout, read_layout
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.metrics.options import ScoringOptions
from zsc.options import plain, read
from zsc.study.options import ScoreOptions
from zsc.study.outputs import import_outputs
from zsc.study.result import Result
from zsc.study.run import score as score_folder
from zsc.study.stored import stored_config
from zsc.study.watch import Watch

KEPT = ("metrics", "topic", "bleu", "resampling")  # options of a run that hold where none are given


def score(options: ScoreOptions, watch: Watch) -> Result:
    """Score the run, or file of responses, that ``options`` name."""
    folder = run_folder(options)
    stored = stored_config(folder.config)
    for line in judges_left_out(stored, options):
        watch.say(line)
    turns = read_layout("layout", stored.get("layout", {})).turns or BucketLayout.turns
    return score_folder(folder, scoring_options(stored, options), turns, watch)


def run_folder(options: ScoreOptions) -> RunFolder:
    """Return the folder of the run, or one made of the responses in a file. Raises ZscError if it is neither."""
    path = Path(options.run)
    if path.is_file():
        return import_outputs(path, options.columns, Path("runs"), BucketLayout.turns, options.turns or "one")
    if options.turns is not None:
        raise ZscError("turns says how to read the histories of a file of responses: a run has them already.")
    folder = RunFolder(path)
    if not folder.config.is_file() or not folder.manifest():
        raise ZscError(f"{path} is not the folder of a run, nor a file of responses. `zsc run` makes a run.")
    return folder


def scoring_options(stored: Mapping[str, Any], options: ScoreOptions) -> ScoringOptions:
    """Return what is scored by: what is given, or else what the run's config has, but for its judges."""
    kept = {key: stored[key] for key in KEPT if key in stored}
    merged = _over(kept, {key: plain(getattr(options, key)) for key in KEPT})
    return read(ScoringOptions, {**merged, "judges": plain(options.judges)})


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with every value of ``above`` that is not None over it."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            merged[key] = _over(merged.get(key) or {}, value)
        elif value is not None:
            merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}


def judges_left_out(stored: Mapping[str, Any], options: ScoreOptions) -> list[str]:
    """Say how to name the judges in a run's config, which are left out: to load one may fetch it, and the run may be
    somebody else's."""
    judges = stored.get("judges")
    named = judges if isinstance(judges, Mapping) else {}
    known = set(options.judges.chosen)
    left = {
        kind: str(name)
        for kind, name in named.items()
        if kind in known and name and options.judges.chosen.get(kind) is None
    }
    if not left:
        return []
    words = [shlex.quote(f"judges.{kind}={name if name.isprintable() else 'NAME'}") for kind, name in left.items()]
    return [f"judges in the run's config.yaml are left out; to use them, add {' '.join(words)}"]
