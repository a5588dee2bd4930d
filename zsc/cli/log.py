"""The tracker that a scored run is sent to."""

from collections.abc import Mapping
from typing import Any

from zsc.cli.launch import chosen
from zsc.study.loggers import LOGGERS, Logger


def logger_of(values: Mapping[str, Any]) -> Logger | None:
    """Return the logger that the resolved ``values`` of a config name, if any.

    Raises ZscError for a name that is none of LOGGERS, and where its package is missing: before anything is generated.
    """
    found = chosen(LOGGERS, "log", values["log"])
    if found is not None:
        found.check()
    return found
