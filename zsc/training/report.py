"""What trainings left in their folders: models of several seeds under one name, what trained and what it took."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, first_line

FILES = ("config.yaml", "plan.json", "training.json")
COSTS = "costs.json"  # beside the trainings: what steps take, measured in one run


@dataclass(frozen=True)
class Training:
    """A finished training: its ``folder``, its plan (``plan.json``) and its report (``training.json``)."""

    folder: Path
    plan: dict[str, Any]
    report: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def seed(self) -> int:
        return int(self.report["seed"])

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
    found, unfinished = [], []
    for folder in sorted(path for path in root.iterdir() if (path / "config.yaml").is_file()):
        if not (folder / "model").is_dir() or not all((folder / file).is_file() for file in FILES):
            unfinished.append(folder.name)
            continue
        plan, report = (read_json(folder / file) for file in FILES[1:])
        if not isinstance(report, dict) or not isinstance(plan, dict) or "seed" not in report or "freeze" not in plan:
            raise ZscError(f"{folder} holds no reports of this version of zsc train. Train it again in a new folder.")
        found.append(Training(folder, plan, report))
    return found, unfinished


def by_name(trainings: Sequence[Training], baseline: str) -> dict[str, list[Training]]:
    """Return the trainings of each name in the order of their seeds; ``baseline`` first, then by trained weights.

    Raises ZscError if there is none called ``baseline``, one has other seeds, or the seeds of one froze other parts.
    """
    groups: dict[str, list[Training]] = {}
    for one in sorted(trainings, key=lambda one: (-one.plan["all"]["trained"], one.name, one.seed)):
        groups.setdefault(one.name, []).append(one)
    if baseline not in groups:
        raise ZscError(f"no finished training is called {baseline}-SEED, to compare with. Found: {', '.join(groups)}.")
    seeds = [one.seed for one in groups[baseline]]
    for name, of_one in groups.items():
        if [one.seed for one in of_one] != seeds:
            own = [one.seed for one in of_one]
            raise ZscError(f"{name} was trained with the seeds {own}, {baseline} with {seeds}: they must be the same.")
        if len({one.frozen for one in of_one}) > 1:
            raise ZscError(f"the trainings called {name} did not freeze the same parts.")
    return {baseline: groups.pop(baseline), **groups}


def figures(trainings: Sequence[Training], costs: Sequence[dict[str, Any]]) -> dict[str, tuple[float | None, ...]]:
    """Return figures of the seeds of one way to train: value, least and greatest (None where all are the same).

    ``trained_weights``, ``trained_share`` of all weights, ``trained_share_without_embeddings``, ``optimiser_mb``
    (MiB of its state), ``validation_loss`` (nats per token; mean over the seeds) and ``time_per_step``, relative to a
    training with nothing frozen, as in ``costs``.
    """
    first = trainings[0]
    losses = [one.report["validation_loss"] for one in trainings]
    taken = [one for one in costs if frozenset(one["frozen"]) == first.frozen]
    optimiser = first.report["optimiser_bytes"]
    return {
        "trained_weights": (first.plan["all"]["trained"], None, None),
        "trained_share": (first.plan["all"]["share"], None, None),
        "trained_share_without_embeddings": (first.plan["without_embeddings"]["share"], None, None),
        "optimiser_mb": (None if optimiser is None else optimiser / 2**20, None, None),
        "validation_loss": (statistics.mean(losses), min(losses), max(losses)),
        "time_per_step": tuple(taken[0]["time"]) if taken else (None, None, None),
    }


def read_json(file: Path) -> Any:
    """Return the content of ``file``. Raises ZscError if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ZscError(f"{file} cannot be read: {first_line(error)}.") from error
