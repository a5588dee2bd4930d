"""The layout that a checkpoint was trained with, as far as it is known: chosen once the checkpoint is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zsc.options import Count, plain_fields


@dataclass(frozen=True)
class AutoLayout:
    """Options that the layout chosen is given; None is what that has."""

    form: ClassVar[str] = "auto"

    knowledge_tokens: Count | None = None
    turns: Count | None = None
    turn_tokens: Count | None = None
    speaker_tokens: tuple[str, str] | None = None
    attend_padding: bool | None = None
    max_tokens: Count | None = None
    source_language: str | None = None
    target_language: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that are set."""
        return {name: value for name, value in plain_fields(self).items() if value is not None}

    def to_mapping(self) -> Mapping[str, Any]:
        return {"form": self.form, **plain_fields(self)}
