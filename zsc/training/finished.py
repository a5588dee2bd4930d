"""What trainings left in their folders: models of several seeds under one name, what trained and what it took."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, first_line

FILES = ("config.yaml", "plan.json", "training.json")
FIGURES = (  # of a training, beside metrics of its responses
    "trained_weights",
    "trained_share",
    "trained_share_without_embeddings",
    "optimiser_mb",
    "time_per_step",
    "validation_loss",
)
COSTS = "costs.json"  # beside the trainings: what steps take, measured in one run


@dataclass(frozen=True)
class Training:
    """A finished training: its ``folder``, its plan (``plan.json``) and its ``result`` (``training.json``)."""

    folder: Path
    plan: dict[str, Any]
    result: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def seed(self) -> int:
        return int(self.result["seed"])

    @property
    def name(self) -> str:
        return self.folder.name.removesuffix(f"-{self.seed}")

    @property
    def frozen(self) -> frozenset[str]:
        return frozenset(self.plan["freeze"])


def read_trainings(root: Path) -> tuple[list[Training], list[str]]:
    """Return the finished trainings in the folders of ``root``, and the names of those that are not finished.

    Raises ZscError if there is no such folder, or a file of a training cannot be read.
    """
    if not root.is_dir():
        raise ZscError(f"trained={root} is no folder. scripts/train_less.sh makes one.")
    if (root / "config.yaml").is_file():
        raise ZscError(f"trained={root} is a training itself: give the folder above it, which holds several.")
    found, unfinished = [], []
    for folder in sorted(path for path in root.iterdir() if (path / "config.yaml").is_file()):
        if not (folder / "model").is_dir() or not all((folder / file).is_file() for file in FILES):
            unfinished.append(folder.name)
            continue
        plan, result = (read_json(folder / file) for file in FILES[1:])
        if not is_complete(plan, result):
            raise ZscError(
                f"{folder} holds no plan.json and training.json of this version of zsc train. Train it again in"
                " a new folder."
            )
        found.append(Training(folder, plan, result))
    return found, unfinished


def is_complete(plan: Any, result: Any) -> bool:
    """Say whether ``plan.json`` and ``training.json`` hold what is read from them."""
    try:
        numbers = [plan["all"]["trained"], plan["all"]["weights"], plan["all"]["share"], result["validation_loss"]]
        numbers += [plan["without_embeddings"]["share"], result["seed"], result["optimiser_bytes"] or 0]
        return isinstance(plan["freeze"], list) and all(isinstance(number, int | float) for number in numbers)
    except (TypeError, KeyError):
        return False


def by_name(trainings: Sequence[Training], baseline: str) -> tuple[dict[str, list[Training]], list[str]]:
    """Return the trainings of each name in the order of their seeds, ``baseline`` first, then by trained weights; and
    the names that were trained with other seeds than ``baseline``, which are left out.

    Raises ZscError if there is none called ``baseline``, a name has a seed twice, or its seeds froze other parts.
    """
    groups: dict[str, list[Training]] = {}
    for one in sorted(trainings, key=lambda one: (-one.plan["all"]["trained"], one.name, one.seed)):
        groups.setdefault(one.name, []).append(one)
    if baseline not in groups:
        there = ", ".join(groups) or "none"
        raise ZscError(f"no finished training is called {baseline}-SEED, to compare with. Finished: {there}.")
    for name, group in groups.items():
        if len({one.seed for one in group}) < len(group):
            folders = ", ".join(str(one.folder) for one in group)
            raise ZscError(f"{name} was trained twice with one seed: {folders}.")
        if len({one.frozen for one in group}) > 1:
            raise ZscError(f"the trainings called {name} did not freeze the same parts.")
    seeds = [one.seed for one in groups[baseline]]
    others = [name for name, group in groups.items() if [one.seed for one in group] != seeds]
    kept = {name: group for name, group in groups.items() if name not in others}
    return {baseline: kept.pop(baseline), **kept}, others


def figures(trainings: Sequence[Training], costs: Mapping[str, Any]) -> dict[str, tuple[float | None, ...]]:
    """Return figures of the seeds of one way to train: value, least and greatest (None where there is one number).

    ``trained_weights``, ``trained_share`` of all weights, ``trained_share_without_embeddings``, ``optimiser_mb``
    (MiB of its state), ``validation_loss`` (nats per token; mean over the seeds) and ``time_per_step``, relative to a
    training with nothing frozen, as in ``costs`` for a model of as many weights with the same parts frozen.
    """
    first = trainings[0]
    losses = [one.result["validation_loss"] for one in trainings]
    optimiser = first.result["optimiser_bytes"]
    spread = (min(losses), max(losses)) if len(losses) > 1 else (None, None)
    own = first.plan["all"]["weights"], first.plan["all"]["trained"], first.frozen
    measured = {
        (costs["weights"], one["trained"], frozenset(one["frozen"])): one["time"] for one in costs.get("ways", ())
    }
    time = measured.get(own, (None, None, None))
    return {
        "trained_weights": (first.plan["all"]["trained"], None, None),
        "trained_share": (first.plan["all"]["share"], None, None),
        "trained_share_without_embeddings": (first.plan["without_embeddings"]["share"], None, None),
        "optimiser_mb": (None if optimiser is None else optimiser / 2**20, None, None),
        "validation_loss": (statistics.mean(losses), *spread),
        "time_per_step": tuple(time),
    }


def read_costs(root: Path) -> dict[str, Any]:
    """Return what scripts/bench_training.py wrote to ``root``, or nothing. Raises ZscError if it cannot be read."""
    if not (root / COSTS).is_file():
        return {}
    costs = read_json(root / COSTS)
    try:
        complete = {"model", "device", "precision", "weights"} <= set(costs) and all(
            isinstance(one["trained"], int) and isinstance(one["frozen"], list) and len(one["time"]) == 3
            for one in costs["ways"]
        )
    except (TypeError, KeyError):
        complete = False
    if not complete:
        raise ZscError(f"{root / COSTS} is not what scripts/bench_training.py --trainings writes. Repeat that.")
    return dict(costs)


def read_json(file: Path) -> Any:
    """Return the content of ``file``. Raises ZscError if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ZscError(f"{file} cannot be read: {first_line(error)}.") from error
