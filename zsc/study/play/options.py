"""The options of `zsc play`, checked once."""

from dataclasses import dataclass
from typing import Annotated, Any

from zsc.errors import ZscError
from zsc.options import Count, shown
from zsc.study.options import RunOptions


def port_number(key: str, value: Any) -> int:
    """Return ``value``, of the option ``key``. Raises ZscError unless it is the number of a port, 0 for a free one."""
    if type(value) is not int or not 0 <= value <= 65535:
        raise ZscError(f"{key}={shown(value)} must be the number of a port, from 1 to 65535, or 0 for any one.")
    return value


@dataclass(frozen=True, kw_only=True)
class PlayOptions(RunOptions):
    """configs/play.yaml: where the page is served, whether a browser is ``open``ed, from how many ``examples`` it
    picks, and the folder of saved settings."""

    examples: Count = 50
    output: str | None = "play"
    host: str = "127.0.0.1"
    port: Annotated[int, port_number] = 7860
    open: bool = True
