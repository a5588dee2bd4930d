"""Runs whose settings can be compared with each other, and the metrics they are compared by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.generation.cells import canonical
from zsc.metrics import METRICS, described, family, fluency_metrics
from zsc.metrics.items import RUN_COLUMNS
from zsc.metrics.score import Row, settings_of
from zsc.tables.curves import Frontier, Scores, Series, dose_series, frontier
from zsc.tables.kinds import moved_by


@dataclass(frozen=True)
class Run:
    """What the folder ``name`` of a run holds: its config, manifest and scores, and how many ``records``."""

    name: str
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    signatures: Mapping[str, str]
    resampling: Mapping[str, Any]
    records: int

    @property
    def settings(self) -> list[str]:
        return settings_of(self.rows)

    @property
    def knobs(self) -> dict[str, Any]:
        return dict(self.manifest.get("knobs", {}))

    @property
    def scores(self) -> dict[tuple[str, str], Row]:
        return {(row.setting, row.metric): row for row in self.rows}

    @property
    def model(self) -> str:
        options = self.config.get("model", {})
        decoder = f" with {options['decoder']}" if options.get("decoder") else ""
        return f"{Path(str(options['checkpoint'])).name}{decoder}" if options else "other systems"

    @property
    def dataset(self) -> str:
        options = self.config.get("dataset", {})
        parts = [options.get("loader"), options.get("split")]
        return " ".join(map(str, filter(None, parts))) or str(self.manifest.get("outputs", "responses"))

    @property
    def moved(self) -> tuple[str, ...]:
        """The metrics of what the first knob of the run is to change, the most telling first."""
        return moved_by(next((knobs[0] for knobs in self.knobs.values() if knobs), None))

    def baseline(self, metrics: Sequence[str]) -> str:
        """Return what runs must share for their settings to be compared: the responses of the model without knobs, the
        definition of ``metrics``, and what those look for."""
        cells = self.manifest.get("cells", {})
        own = [cells.get(f"{self.settings[0]} seed {seed}", self.name) for seed in self.manifest["seeds"]]
        signed = [
            [part for part in self.signatures[metric].split("|") if not part.startswith(("resamples:", "rs:"))]
            for metric in metrics
        ]
        sought = [self.manifest.get("made_from", {}).get("phrases"), self.config.get("topic")]
        wanted = any(RUN_COLUMNS.intersection(described(metric).reads) for metric in metrics)
        return canonical([own, signed, sought if wanted else None])


@dataclass(frozen=True)
class Group:
    """Runs whose settings can be compared with each other in ``control`` and ``fluency``."""

    control: str
    fluency: str
    runs: Sequence[Run]

    @property
    def title(self) -> str:
        return f"{self.control} on {self.runs[0].dataset}, {self.runs[0].model}"

    @property
    def settings(self) -> list[str]:
        return list(dict.fromkeys(setting for run in self.runs for setting in run.settings))

    @property
    def knobs(self) -> dict[str, Any]:
        every = {setting: knobs for run in reversed(self.runs) for setting, knobs in run.knobs.items()}
        return {setting: every[setting] for setting in self.settings if setting in every}

    @property
    def scores(self) -> Scores:
        return {place: row for run in reversed(self.runs) for place, row in run.scores.items()}

    @property
    def metrics(self) -> list[str]:
        """Control, fluency, and what some run has of those that stand beside any, the family of fluency first."""
        scored = {name for run in self.runs for name in run.signatures}
        beside = [name for name in METRICS if name in scored and described(name).beside]
        beside.sort(key=lambda name: family(name) != family(self.fluency))
        return list(dict.fromkeys([self.control, self.fluency, *beside]))

    @property
    def series(self) -> list[Series]:
        return [one for one in dose_series(self.knobs) if one.tested]

    @property
    def frontier(self) -> Frontier:
        return frontier(self.settings, self.scores, self.control, self.fluency)

    def holder(self, setting: str) -> Run:
        """Return the first run with ``setting``."""
        return next(run for run in self.runs if setting in run.settings)


def default_fluency(runs: Sequence[Run]) -> str:
    """Return the metric of fluency that all ``runs`` have, or else the one that most can have: that needs no judge."""
    every = fluency_metrics()
    shared = [metric for metric in every if all(metric.measure in run.signatures for run in runs)]
    return next(metric.measure for metric in [*shared, *every] if metric in shared or not metric.judge)


def default_controls(runs: Sequence[Run]) -> list[str]:
    """Return the metric of what the first knob of each of ``runs`` is to change: of those that tell of it, the first
    that all runs with such a knob have."""
    moved = [run.moved for run in runs]
    signed = {metrics: [run.signatures for run in runs if run.moved == metrics] for metrics in moved}
    shared = {
        metrics: next((metric for metric in metrics if all(metric in one for one in signatures)), metrics[0])
        for metrics, signatures in signed.items()
    }
    return [shared[metrics] for metrics in moved]


def grouped(runs: Sequence[Run], controls: Sequence[str], fluency: str) -> list[Group]:
    """Put together the runs that can be compared; ``controls`` are the control metrics of each."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run, control in zip(runs, controls, strict=True):
        groups.setdefault((control, run.baseline((control, fluency))), []).append(run)
    return [Group(control, fluency, comparable) for (control, _), comparable in groups.items()]
