"""The text of a template: literal text, {field}s, and {#field}parts that need one{/field}."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from zsc.errors import ZscError

MARK = re.compile(r"\{\{|\}\}|\{([#^/]?)([A-Za-z_]\w*)\}|[{}]")
FORM = (
    "Write {field}, {#field}a part for records that have it{/field}, {^field}one for those without{/field}, {{ and }}."
)


@dataclass(frozen=True)
class Part:
    """A literal ``text``, a field of the name ``text``, or ``parts`` for records that have the field, or lack it."""

    kind: Literal["literal", "field", "with", "without"]
    text: str
    parts: tuple[Part, ...] = ()


def parse(text: str, key: str) -> tuple[Part, ...]:
    """Return the parts of ``text``, the value of the option ``key``. Raises ZscError for what is no template."""
    stack: list[tuple[str, str, list[Part]]] = [("", "", [])]
    end = 0
    for mark in MARK.finditer(text):
        _literal(stack[-1][2], text[end : mark.start()])
        end = mark.end()
        kind, name = mark[1], mark[2]
        if mark[0] in ("{{", "}}"):
            _literal(stack[-1][2], mark[0][0])
        elif name is None:
            raise ZscError(f"{key}={text!r}: a single {mark[0]} at character {mark.start()}. {FORM}")
        elif kind == "":
            stack[-1][2].append(Part("field", name))
        elif kind in "#^":
            stack.append((kind, name, []))
        else:
            opened, of, parts = stack.pop() if len(stack) > 1 else ("", "nothing", [])
            if of != name:
                raise ZscError(f"{key}={text!r}: {mark[0]} ends what {{{opened}{of}}} began. {FORM}")
            stack[-1][2].append(Part("with" if opened == "#" else "without", name, tuple(parts)))
    _literal(stack[-1][2], text[end:])
    if len(stack) > 1:
        raise ZscError(f"{key}={text!r}: {{{stack[-1][0]}{stack[-1][1]}}} is not ended. {FORM}")
    return tuple(stack[0][2])


def _literal(parts: list[Part], text: str) -> None:
    if text:
        parts.append(Part("literal", text))


def names(parts: Sequence[Part]) -> list[str]:
    """Return the fields that are written, in their order."""
    found: dict[str, None] = {}
    for part in parts:
        if part.kind == "field":
            found[part.text] = None
        found |= dict.fromkeys(names(part.parts))
    return list(found)


def rendered(parts: Sequence[Part], has: Callable[[str], bool]) -> Iterator[Part]:
    """Yield the literals and fields that are written of a record that ``has`` some fields."""
    for part in parts:
        if part.kind in ("literal", "field"):
            yield part
        elif has(part.text) == (part.kind == "with"):
            yield from rendered(part.parts, has)
