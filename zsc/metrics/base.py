"""What a metric is: per-response statistics, and how statistics of any sample of responses become one number.

Every metric is a function of sums of statistics over responses (or a median of them), so intervals and tests come from
weighting rows of statistics, without computing the metric again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from zsc import __version__
from zsc.errors import ZscError
from zsc.metrics.items import ANOTHER_NAME, Columns

Direction = Literal["higher", "lower"]


class Metric(ABC):
    """A number of many responses. Subclasses say what its statistics are, and what of the following differs for them.

    ``predictions`` and ``references`` name the columns (see :mod:`zsc.metrics.items`) that it is computed from;
    ``references`` is None for a metric of one column alone; with ``further`` columns beside it, the entries of all of
    them are tuples. If a ``judge`` (see :mod:`zsc.metrics.judges`) makes these, ``judged_with`` names the columns that
    it reads beside the response.
    """

    better: Direction | None = "higher"  # which way it is better, or is to be moved; None: unknown
    beside: bool = False  # a report shows it whatever control and fluency are
    words: str = ""  # what a summary of a run calls it; one without is in the table alone
    risen: str = ""  # what a summary says where it has risen, if its words do not do
    fallen: str = ""  # the same where it has fallen
    for_fluency: int = 0  # its place among the metrics that stand for fluency, of which the first possible is taken
    logarithmic: ClassVar[bool] = False  # it is drawn on a logarithmic scale where its values lie far apart
    kinds: ClassVar[dict[str, str]] = {"predictions": "string", "references": "string"}
    apart: ClassVar[bool] = False  # statistics of a response depend on no other response, and may be asked for in parts
    of_sums: ClassVar[bool] = True  # a metric that is not overrides `weighing`
    needs: ClassVar[str] = ""  # what a response without a value lacks, where its columns are there

    def __init__(
        self,
        name: str,
        references: str | None = None,
        predictions: str = "response",
        judge: str = "",
        judged_with: Sequence[str] = (),
        further: Sequence[str] = (),
    ):
        self.measure, self.predictions, self.references, self.further = name, predictions, references, tuple(further)
        self.judge, self.judged_with = judge, tuple(judged_with)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is computed from."""
        return (self.predictions, *([] if self.references is None else [self.references]), *self.further)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it goes back to: those that it is computed from, or those that its judge reads."""
        return ("response", *self.judged_with) if self.judge else self.columns

    @property
    def requirements(self) -> str:
        """What must be there beside responses for it to have a value, in words."""
        judge = [f"judges.{self.judge}=MODEL"] if self.judge else []
        texts = [ANOTHER_NAME.get(column, column) for column in self.reads if column != "response"]
        return " and ".join([*judge, *texts])

    def fitted(self, cells: Sequence[Columns]) -> tuple["Metric", str]:
        """Return this metric with what it settles once for the ``cells`` of a run, and what there is to say of that."""
        return self, ""

    def split_by(self, tokenize: str) -> "Metric":
        """Return this metric with another tokenizer of sacrebleu, if it has one."""
        return self

    @abstractmethod
    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        """Return one row of numbers per response: float64 of shape (responses, numbers)."""

    def from_sums(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the metric (...) of samples of ``counts`` (...) responses whose statistics add up to ``sums``
        (..., numbers): the mean of the first number, unless overridden."""
        return sums[..., 0] / counts

    def weighing(self, statistics: np.ndarray) -> "Weighed":
        """Return this metric of ``statistics`` (examples, seeds, numbers), pooled over examples and seeds, by how often
        each example counts."""
        return Sums(self, statistics)

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the metric (samples,) of ``statistics`` (examples, seeds, numbers), where each sample counts each
        example as often as ``weights`` (samples, examples) says."""
        weighed = self.weighing(statistics)
        return weighed.values(weights @ weighed.columns, weights, weights.sum(axis=1))

    def value(self, statistics: np.ndarray) -> float:
        """Return the metric of ``statistics`` (examples, seeds, numbers)."""
        return float(self.weighted(statistics, np.ones((1, statistics.shape[0])))[0])

    @property
    def signature(self) -> str:
        """What the number depends on: measure, columns, library versions and options, as one string."""
        return "|".join([self.measure, f"on:{':'.join(self.columns)}", *self.options(), f"zsc:{__version__}"])

    def options(self) -> list[str]:
        """Return the parts of the signature that are this metric's own."""
        return []


class Weighed(Protocol):
    """A metric as a function of weights (samples, examples), given their product with ``columns`` (examples,
    numbers), which is computed for several metrics at once."""

    columns: np.ndarray

    def values(self, products: np.ndarray, weights: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return the metric (samples,) by the ``products`` (samples, numbers) of the columns and the ``weights``, which
        add up to ``drawn`` (samples,)."""


class Sums:
    """A metric that is a function of sums of ``statistics`` (examples, seeds, numbers)."""

    def __init__(self, metric: Metric, statistics: np.ndarray):
        self.metric, self.seeds = metric, statistics.shape[1]
        self.columns = statistics.sum(axis=1, dtype=np.float64)

    def values(self, products: np.ndarray, weights: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return self.metric.from_sums(products, drawn * self.seeds)


class Unregistered(Metric):
    """A metric of a run that was scored elsewhere: nothing is known of it but its numbers."""

    better = None

    def statistics(self, predictions: list[Any], references: list[Any] | None) -> np.ndarray:
        raise ZscError(f"no metric '{self.measure}' here. See `zsc ls`.")


def ratio(sums: np.ndarray) -> np.ndarray:
    """Divide the first by the second of the two numbers in (..., 2); 0 where the second is 0."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros_like(sums[..., 0]), where=sums[..., 1] > 0)
