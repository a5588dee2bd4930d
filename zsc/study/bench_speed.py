"""How fast responses are made: ours beside the library's own ``generate`` and CTranslate2, in turn, within one run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from statistics import median
from typing import Any

from transformers import __version__ as library

from zsc.errors import ZscError
from zsc.study.bench_converted import NotConvertible, check_ctranslate2, converted
from zsc.study.bench_ways import Measured, ours, plain
from zsc.study.experiment import Experiment, prepare
from zsc.study.filling import room_of
from zsc.study.memory import peak_megabytes
from zsc.study.options import BenchOptions
from zsc.study.timing import ratios
from zsc.study.watch import Watch

PLAIN, CONVERTED = "plain", "ctranslate2"
WARM = 4  # examples that each way responds to before times are taken


@dataclass(frozen=True)
class Way:
    """A way to make responses, and what it makes, in words."""

    of: str
    run: Callable[[Experiment], Measured]


def bench_speed(options: BenchOptions, watch: Watch) -> list[dict[str, Any]]:
    """Return rows of times of a response, CPU and wall, and of their ratios to other ways, for each way.

    ``sweep`` makes all settings with knobs and all seeds of ``options`` side by side, ``one`` the one in their middle
    alone, with likelihoods and cells; ``plain`` is a loop of the library's own ``generate``, ``ctranslate2`` the same
    model converted, without knobs. Models are loaded and converted before. Responses end where they end, unless
    ``min_new_tokens`` says otherwise.
    """
    experiment = prepare(options)
    ways, against = ways_of(experiment, watch)
    few = prepare(options, records=experiment.records[:WARM])
    for way in ways.values():
        way.run(few)
    measured: dict[str, list[Measured]] = {name: [] for name in ways}
    peaks: dict[str, int] = {}
    for repeat in range(options.repeats):
        for name in list(ways)[:: 1 if repeat % 2 == 0 else -1]:
            one = ways[name].run(experiment)
            measured[name].append(one)
            peaks.setdefault(name, peak_megabytes())
            watch.say(f"{name}: {one.seconds.cpu:.1f} s CPU, {one.seconds.wall:.1f} s, {one.responses} responses")
    return [
        {**row, "of": ways[row["way"]].of, "batch": room_of(experiment).read, "peak MB so far": peaks[row["way"]]}
        for row in rows(measured, against)
    ]


def ways_of(experiment: Experiment, watch: Watch) -> tuple[dict[str, Way], list[str]]:
    """Return the ways by name, and those that others are compared against, one that the model cannot go among them."""
    names = [name for name, knobs in experiment.built.settings.items() if knobs]
    places = [(name, seed) for seed in experiment.seeds for name in names]
    alone = names[len(names) // 2], experiment.seeds[0]
    ways = {"one": Way(f"{alone[0]}, seed {alone[1]}", partial(ours, places=[alone]))}
    if len(places) > 1:
        size = f"settings: {len(names)}, seeds: {len(experiment.seeds)}"
        ways = {"sweep": Way(size, partial(ours, places=places)), **ways}
    ways[PLAIN] = Way(f"generate of transformers {library}", plain)
    try:
        check_ctranslate2()
    except ZscError as error:
        watch.say(f"left out: {error}")
        return ways, [PLAIN]
    try:
        engine = converted(experiment.loaded, experiment.format.decoding)
    except NotConvertible as error:
        watch.say(f"left out: CTranslate2 does not take this model ({error})")
    else:
        ways[CONVERTED] = Way(f"ctranslate2 {version('ctranslate2')}", engine.measured)
    return ways, [PLAIN, CONVERTED]


def rows(measured: Mapping[str, Sequence[Measured]], against: Sequence[str]) -> list[dict[str, Any]]:
    """Return two rows, of CPU and wall time, for each way, with its times of a response and of a token relative to
    those ``against`` which it was taken in turn; None where there are none."""
    found = []
    for name, runs in measured.items():
        for label, kind in (("CPU", "cpu"), ("wall", "wall")):
            row: dict[str, Any] = {"way": name, "time": label}
            row["ms each"] = round(1000 * median(each(runs, kind)), 2)
            row["tokens each"] = round(sum(run.tokens for run in runs) / sum(run.responses for run in runs), 2)
            for other in against:
                row |= compared(runs, measured.get(other), kind, other)
            found.append(row | {"responses": runs[0].responses, "repeats": len(runs)})
    return found


def compared(runs: Sequence[Measured], others: Sequence[Measured] | None, kind: str, name: str) -> dict[str, Any]:
    """Return the times of ``runs`` relative to those of ``others``, called ``name``."""
    columns = (f"/{name}", f"/{name} min", f"/{name} max", f"/{name} a token")
    if others is None:
        return dict.fromkeys(columns)
    response = ratios(each(runs, kind), each(others, kind))
    token = ratios(each(runs, kind, "tokens"), each(others, kind, "tokens"))
    return dict(zip(columns, (response.median, response.least, response.most, token.median), strict=True))


def each(runs: Sequence[Measured], kind: str, unit: str = "responses") -> list[float]:
    """Return the seconds of a response, or of another ``unit``, in each of ``runs``."""
    return [getattr(run.seconds, kind) / getattr(run, unit) for run in runs]
