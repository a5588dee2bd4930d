"""`zsc bench`: how fast responses are made, beside other ways to make them, or what a knob costs, in one run."""

from typing import Any

from zsc.errors import ZscError
from zsc.study.bench_cost import bench_cost
from zsc.study.bench_speed import bench_speed
from zsc.study.options import BenchOptions
from zsc.study.watch import Watch


def bench(options: BenchOptions, watch: Watch) -> list[dict[str, Any]]:
    """Return rows of what ``options.measure`` says of their knob. Raises ZscError if they have none."""
    if not options.knob.parts:
        raise ZscError("zsc bench needs a knob, such as knob=attn_bias.")
    return bench_cost(options) if options.measure == "cost" else bench_speed(options, watch)
