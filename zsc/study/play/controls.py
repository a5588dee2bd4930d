"""What can be set of every knob on the page: made of its config, its dose and the choices of its fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from zsc.configs import CONFIGS, group_values
from zsc.data.control_phrases import phrase_sets
from zsc.errors import ZscError, first_line
from zsc.knobs import KNOBS, AdditiveKnob, Dose
from zsc.knobs.anatomy import COMPONENTS
from zsc.knobs.attn_bias import GRADUAL, SCHEDULES
from zsc.knobs.ctx_aug import VARIANTS
from zsc.knobs.dec_mix import LEVELS
from zsc.knobs.self_attn_bias import PROFILES
from zsc.knobs.swap import SOURCES
from zsc.options import plain, shown
from zsc.study.options import KnobOptions, RunOptions
from zsc.study.tasks import of_task

Kind = Literal["dose", "choice", "count", "flag", "text", "list"]
STEPS = 120  # of a slider: 40 for each power of ten from 0.1 to 100, so that it stops at 1 and at 10
RANGES = {"attn_bias": (0.1, 100.0), "self_attn_bias": (0.1, 100.0)}  # of sliders; of others those of the dose
CAUSAL_RANGES = RANGES | {"ctx_aug": (1.0, 1000.0)}  # of decoders alone
FRONT = ("profile", "phrases", "level", "component", "by")  # fields that stand beside the dose
CHOICES: dict[tuple[str, str], Sequence[str]] = {
    ("attn_bias", "schedule"): SCHEDULES,
    ("self_attn_bias", "profile"): tuple(PROFILES),
    ("ctx_aug", "variant"): VARIANTS,
    ("dec_mix", "level"): tuple(LEVELS),
    ("swap", "component"): tuple(COMPONENTS),
    ("swap", "by"): SOURCES,
}


@dataclass(frozen=True)
class Scale:
    """A slider's: from position 0 to STEPS it goes from ``least`` to ``most``, in equal ratios where ``geometric``.

    Where the ``neutral`` dose lies below all of these, position 0 is that. Doses have two digits.
    """

    least: float
    most: float
    neutral: float
    geometric: bool

    @classmethod
    def of(cls, name: str, dose: Dose, causal: bool) -> "Scale":
        """Return the scale of the knob called ``name``."""
        least, most = (CAUSAL_RANGES if causal else RANGES).get(name, (dose.weakest, dose.strongest))
        return cls(least, most, dose.neutral, dose.geometric)

    def dose(self, position: float) -> float:
        """Return the dose at a position."""
        if position <= 0 and self.neutral < self.least:
            return self.neutral
        share = position / STEPS
        ratio = self.least * (self.most / self.least) ** share if self.geometric else 0.0
        return float(f"{ratio if self.geometric else self.least + (self.most - self.least) * share:.2g}")

    def position(self, dose: float) -> int:
        """Return the position nearest to a dose."""
        return min(range(STEPS + 1), key=lambda position: abs(self.dose(position) - dose))


@dataclass(frozen=True)
class Control:
    """One ``field`` of a knob: its ``value`` to begin with, and ``choices``, beside which others can be written where
    it is ``open``. One of ``front`` stands beside the dose, others below."""

    field: str
    kind: Kind
    value: Any
    choices: tuple[str, ...] = ()
    open: bool = False
    front: bool = False

    def read(self, given: Any, knob: str) -> Any:
        """Return what was ``given`` on the page as the field takes it. Raises ZscError for what is no such value."""
        at = f"{self.field} of {knob}"
        if self.kind in ("dose", "count"):
            if isinstance(given, bool) or not isinstance(given, int | float):
                raise ZscError(f"{at} has no value: give a number.")
            whole = self.kind == "count" and float(given).is_integer()
            return int(given) if whole else given
        if self.kind == "list":
            try:
                return yaml.safe_load(str(given or "null"))
            except yaml.YAMLError as error:
                raise ZscError(f"{at}={given!r} must be a list such as [0,1], or null: {first_line(error)}") from error
        return given


@dataclass(frozen=True)
class Section:
    """A knob on the page, which begins with ``base``: its ``controls``, the ``scale`` of its dose if it has one, and
    whether it is ``on`` at first."""

    base: KnobOptions
    controls: tuple[Control, ...]
    scale: Scale | None
    on: bool = False

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def title(self) -> str:
        """What the knob is called, with its name: from the comment at the head of its config, where it has one."""
        file = CONFIGS / "knob" / f"{self.name}.yaml"
        first = file.read_text(encoding="utf-8").partition("\n")[0] if file.is_file() else ""
        words, colon, _ = first.removeprefix("#").partition(":")
        return f"{words.strip()} ({self.name})" if colon and first.startswith("#") else self.name

    def options(self, given: Sequence[Any]) -> KnobOptions:
        """Return the knob with what was ``given``, a value for each of the controls. Raises ZscError."""
        pairs = zip(self.controls, given, strict=True)
        return self.base.replace(**{one.field: one.read(value, self.name) for one, value in pairs})


def default_options(name: str, options: RunOptions) -> KnobOptions:
    """Return the knob called ``name`` with the values of its config, those that the task and the second model of
    ``options`` decide among them."""
    config = group_values("knob").get(name, {})
    own = {key: value for key, value in config.items() if key not in ("name", "other") and not _refers(value)}
    found = of_task(KnobOptions(name, own), options.task).values
    other = {"other": plain(options.other)} if "other" in config else {}
    return KnobOptions(name, {key: found[key] for key in config if key in found} | other)


def _refers(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${")


def section(options: KnobOptions, spans: Sequence[str], causal: bool, on: bool) -> Section:
    """Return how the knob of ``options`` stands on the page. ``spans`` are the parts of a source that it may weigh."""
    kind = KNOBS[options.name]
    dose = kind.dose
    controls = [
        _control(options.name, field, value, spans, dose.field if dose else None, kind.lists)
        for field, value in options.values.items()
        if field != "other"
    ]
    ordered = sorted(controls, key=lambda one: (one.kind != "dose", not one.front))
    return Section(options, tuple(ordered), Scale.of(options.name, dose, causal) if dose else None, on)


def _control(
    name: str, field: str, value: Any, spans: Sequence[str], dose: str | None, lists: frozenset[str]
) -> Control:
    if field == dose:
        return Control(field, "dose", value, front=True)
    if field in lists or value is None or isinstance(value, list | tuple):
        return Control(field, "list", shown(value).replace(" ", "") if value is not None else "null")
    if isinstance(value, bool):
        return Control(field, "flag", value)
    if isinstance(value, int | float):
        return Control(field, "count", value)
    found = choices_of(name, field, spans)
    chosen = tuple(dict.fromkeys([*found, str(value)]))
    written = name == "attn_bias" and field != "schedule"
    return Control(field, "choice" if found else "text", value, chosen if found else (), written, field in FRONT)


def choices_of(name: str, field: str, spans: Sequence[str]) -> tuple[str, ...]:
    """Return the values among which a text field of a knob is chosen; none where any text can be written."""
    if field == "phrases":
        return tuple(phrase_sets())
    if name == "attn_bias" and field in ("profile", "start", "end"):
        return (*spans, *([GRADUAL] if field == "profile" else []))
    return tuple(CHOICES.get((name, field), ()))


def in_order(names: Mapping[str, Any]) -> list[str]:
    """Return names of knobs as they stand on the page: those that add to the decoder first, those without dose last."""
    return sorted(names, key=lambda name: (not issubclass(KNOBS[name], AdditiveKnob), KNOBS[name].dose is None))
