"""What a model answered with knobs off and on, as a piece of a page: changed words, and the attention that moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from markupsafe import Markup

from zsc.data.record import Record
from zsc.generation.attention import Attended
from zsc.tables.examples import runs
from zsc.tables.report import Example, Examples, shaded, strong_change
from zsc.tables.templates import environment
from zsc.terminal import visible

if TYPE_CHECKING:  # imported where responses are made: who only reads needs no torch
    from zsc.generation.generate import Response

TEMPLATE = "played.html"


class Shown(Protocol):
    """What is shown: responses to ``record``, off and in ``setting`` if a knob is on, and where attention lay."""

    @property
    def record(self) -> Record: ...
    @property
    def seed(self) -> int: ...
    @property
    def setting(self) -> str | None: ...
    @property
    def off(self) -> Response: ...
    @property
    def on(self) -> Response | None: ...
    @property
    def attended(self) -> Attended | None: ...
    @property
    def notes(self) -> Sequence[str]: ...


def played(shown: Shown) -> str:
    """Return HTML of both responses and of the source; all that models and people wrote is escaped."""
    on = shown.off.text if shown.on is None else shown.on.text
    example = Example(shown.record, shown.off.text, on, shown.attended)
    strongest = strong_change(Examples(shown.setting or "", shown.seed, [example], ""))
    buckets = shaded(shown.attended, strongest) if shown.attended else []
    text = (
        environment()
        .get_template(TEMPLATE)
        .render(shown=shown, runs=runs(shown.off.text, on), strongest=strongest, buckets=buckets, measures=measures)
    )
    return visible(text).removesuffix("\n")


def measures(response: Response) -> str:
    """Say how long a response is and how probable the model without knobs finds it."""
    perplexity = math.exp(min(response.nll / max(response.tokens, 1), 700))
    return f"{response.tokens} tokens, perplexity {perplexity:.3g} without knobs"


def problem(text: str) -> str:
    """Return HTML of an error."""
    return str(Markup('<p class="zsc-problem" role="alert">{}</p>').format(visible(text)))
