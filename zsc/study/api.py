"""The study from Python: what `zsc run`, `zsc sweep` and `zsc score` do, as functions that return results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsc.data.options import DatasetOptions
from zsc.data.record import Record, parse_record
from zsc.errors import ZscError
from zsc.models.options import ModelOptions
from zsc.options import plain, read
from zsc.study.options import ExportOptions, KnobChoice, KnobOptions, RunOptions, ScoreOptions, TaskOptions
from zsc.study.result import Result
from zsc.study.run import run as perform
from zsc.study.score import score as score_again
from zsc.study.tasks import of_task, over, task_values
from zsc.study.watch import Silent, Terminal, Watch

if TYPE_CHECKING:
    from zsc.study.setting import Setting

Knobs = str | KnobOptions | Sequence[str | KnobOptions]  # several act together
Dataset = str | DatasetOptions | Sequence[Record | Mapping[str, Any]]


def knob(name: str, **values: Any) -> KnobOptions:
    """Return the knob called ``name`` (see `zsc ls`) with ``values`` of its fields, its defaults elsewhere.

    A list of values makes one setting of each. ``phrases`` is the name of a set or file, ``other`` a mapping of
    ``checkpoint`` and ``decoder``.
    """
    return KnobOptions(name, values)


def dataset(name: str, limit: int | None = None, **own: Any) -> DatasetOptions:
    """Return the dataset called ``name`` (see `zsc ls`), with arguments of its loader such as ``path`` and ``split``;
    ``limit`` keeps a fixed random sample of so many records."""
    return read(DatasetOptions, {"loader": name, "limit": limit, **own}, "dataset")


def run(
    knobs: Knobs = (),
    *,
    model: str | ModelOptions = "mini",
    dataset: Dataset = "parlor",
    quiet: bool = False,
    **options: Any,
) -> Result:
    """Generate with ``knobs`` off and on over the same examples, and score both.

    ``model`` is an embedded model, a folder or a hub name. ``dataset`` is the name of one that needs no path, what
    :func:`dataset` returns, or records: :class:`zsc.data.record.Record`, or mappings of their fields, among them an
    ``id``. ``options`` are those of :class:`zsc.study.options.RunOptions`, such as ``seeds=[0]``,
    ``metrics=["length"]``, ``decoding={"temperature": 1.0}``, ``cells="runs/cells"``; ``task`` and ``layout`` may be
    names, such as ``task="translation"`` and ``layout="t5_translation"``. With ``quiet`` nothing is said on stderr.
    What was generated before, also by the command line, is not generated again. Raises ZscError.
    """
    return _run([knobs], model, dataset, quiet, options)


def sweep(
    *choices: Knobs,
    model: str | ModelOptions = "mini",
    dataset: Dataset = "parlor",
    quiet: bool = False,
    **options: Any,
) -> Result:
    """As :func:`run`, over the settings of several ``choices`` of knobs, side by side, compared with knobs off."""
    return _run(choices, model, dataset, quiet, options)


def score(run: str | Path | Result, *, quiet: bool = False, **options: Any) -> Result:
    """Score a finished run again, or a file of other systems' responses.

    ``options`` are those of :class:`zsc.study.options.ScoreOptions`; what is not given is as the run has it.
    """
    path = run.folder.path if isinstance(run, Result) else run
    return score_again(read(ScoreOptions, {**plain(options), "run": str(path)}), _watch(quiet))


def export(
    run: str | Path | Result, to: str | Path, *, setting: str | None = None, weights: bool = False, quiet: bool = False
) -> "Setting":
    """Write a ``setting`` of a finished run to the folder ``to``, as `zsc export` does, and return it, ready for use.

    Without a name it is the only one with knobs on; with ``weights`` the files of its models are copied too. Raises
    ZscError.
    """
    from zsc.study.export import export as write

    path = run.folder.path if isinstance(run, Result) else run
    return write(ExportOptions(run=str(path), to=str(to), setting=setting, weights=weights), _watch(quiet))


def _run(
    choices: Sequence[Knobs], model: str | ModelOptions, dataset: Dataset, quiet: bool, options: Mapping[str, Any]
) -> Result:
    if "knob" in options:
        raise ZscError(f"knob={options['knob']}: knobs are the first argument, as in zsc.run(zsc.knob('attn_bias')).")
    model = ModelOptions(model) if isinstance(model, str) else model
    task = options.get("task", TaskOptions.name)
    values = over(task_values(task), plain({**options, "task": {}})) if isinstance(task, str) else plain(options)
    given = read(RunOptions, {**values, "model": plain(model)})
    given = replace(given, dataset=_dataset(dataset))
    chosen = [_choice(one, given) for one in choices]
    (only,) = chosen if len(chosen) == 1 else (None,)
    if only is not None:
        given, chosen = replace(given, knob=only), []
    records = None if isinstance(dataset, str | DatasetOptions) else [_record(one) for one in dataset]
    return perform(given, _watch(quiet), chosen or None, records)


def _watch(quiet: bool) -> Watch:
    return Silent() if quiet else Terminal()


def _choice(knobs: Knobs, options: RunOptions) -> KnobChoice:
    given = list(knobs) if isinstance(knobs, list | tuple) else [knobs]
    return KnobChoice(tuple(_part(one, options) for one in given))


def _part(given: Any, options: RunOptions) -> KnobOptions:
    """Return one knob, with the other model that it may need, if none is given."""
    from zsc.study.knobs import knob_class

    part = KnobOptions(given) if isinstance(given, str) else given
    if not isinstance(part, KnobOptions):
        form = "zsc.knob('attn_bias', strength=5)"
        raise ZscError(f"{given!r} must be a knob's name or what zsc.knob gives, such as {form}.")
    part = of_task(part, options.task)
    if "other" in part.values or "other" not in knob_class(part.name).__dataclass_fields__:  # type: ignore[attr-defined]
        return part
    return part.replace(other=plain(replace(options.other, checkpoint=options.model.checkpoint)))


def _dataset(given: Dataset) -> DatasetOptions:
    if isinstance(given, DatasetOptions):
        return given
    return dataset(given) if isinstance(given, str) else DatasetOptions("records")


def _record(given: Record | Mapping[str, Any]) -> Record:
    return given if isinstance(given, Record) else parse_record(dict(given), f"record {given.get('id', '')}".strip())
