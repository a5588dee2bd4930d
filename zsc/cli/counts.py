"""Settings that are counts."""

from typing import Any

from zsc.errors import ZscError


def check_count(key: str, value: Any) -> int:
    """Return ``value``, the setting ``key``. Raises ZscError unless it is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise ZscError(f"{key}={value} must be a whole number of at least 1.")
    return value
