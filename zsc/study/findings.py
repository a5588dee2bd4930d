"""What a check of `zsc doctor` finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    check: str
    state: Literal["ok", "warn", "fail", "skip"]
    found: str
    next: str = ""
