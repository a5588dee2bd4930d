"""What a dataset holds: counts, lengths against the layout's buckets, and examples as the model sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from statistics import median_low
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.data.first_tokens import First, first_tokens
from zsc.data.layouts import BucketLayout, Layout, PlainLayout, WrittenLayout
from zsc.data.record import Record
from zsc.data.source import BEGIN, FIRST_FIELD, FIRST_TURN, KNOWLEDGE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PIECE = 100_000  # characters
SHOWN = 200  # tokens of what is cut off


def counts(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what there is of each kind, as rows of ``what`` and ``count``."""
    references = [record.reference for record in records if record.reference]
    several = [len(record.references) for record in records if record.references]
    focused = sum(bool(record.focus) for record in records)
    fields = Counter(name for record in records for name in record.fields)
    turns = [len(record.history) for record in records]
    found = {
        "records": len(records),
        **{f"with {name}": count for name, count in fields.items()},
        **({"with a focus": focused} if focused else {}),
        "with knowledge": sum(record.knowledge is not None for record in records),
        "with a reference": len(references),
        **({"with several references": len(several), "references, most": max(several)} if several else {}),
        "references with a question mark": sum("?" in text for text in references),
        "topics": len({record.topic for record in records if record.topic}),
        **({"without a history": turns.count(0)} if 0 in turns else {}),
        "turns of history, median": median_low(turns),
        "turns of history, most": max(turns),
    }
    return [{"what": what, "count": count} for what, count in found.items()]


def lengths(
    records: Sequence[Record], layout: Layout, tokenizer: PreTrainedTokenizerBase, new_tokens: int
) -> list[dict[str, Any]]:
    """Return how long texts are, in tokens, and what share of them is cut where there is a limit.

    Of the history, the turns that the layout takes are measured. A reference is compared with ``new_tokens``, the most
    a response may have, if that is above 0; the history is counted in turns.
    """
    room = bounds(layout)
    kept = None if layout.turns is None else -layout.turns
    texts = {
        "knowledge": [record.knowledge for record in records if record.knowledge],
        "turn": [turn.text for record in records for turn in record.history[kept:]],
        **{
            name: [text for record in records if (text := record.text(name))]
            for name in written_fields(layout)
            if name not in ("knowledge", "history")
        },
        "reference": [record.reference for record in records if record.reference],
    }
    measured = {name: _tokens(found, tokenizer) for name, found in texts.items()}
    if "history" in written_fields(layout):
        measured["history, in turns"] = [len(record.history) for record in records]
    room |= {"reference": new_tokens or None, "history, in turns": layout.turns}
    return [_distribution(name, found, room.get(name)) for name, found in measured.items() if found]


def bounds(layout: Layout) -> dict[str, int | None]:
    """Return how many tokens of each text a layout has room for, where it says so."""
    if isinstance(layout, BucketLayout):
        return {"knowledge": layout.knowledge_tokens, "turn": layout.turn_tokens}
    return {}


def written_fields(layout: Layout) -> list[str]:
    """Return the fields of a record that a layout writes."""
    template = layout.template if isinstance(layout, PlainLayout) else layout
    return list(template.fields) if isinstance(template, WrittenLayout) else ["knowledge", "history"]


def _tokens(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the lengths of ``texts`` in tokens; those beyond ``PIECE`` characters are counted piece by piece [D]."""
    pieces = [[text[i : i + PIECE] for i in range(0, len(text), PIECE)] for text in texts]
    every = [piece for pieces_of_text in pieces for piece in pieces_of_text]
    ids = tokenizer(every, add_special_tokens=False, verbose=False)["input_ids"] if every else []
    counts = iter([len(one) for one in ids])
    return [sum(next(counts) for _ in pieces_of_text) for pieces_of_text in pieces]


def _distribution(name: str, found: list[int], bucket: int | None) -> dict[str, Any]:
    middle, ninety, ninety_nine = np.percentile(found, [50, 90, 99], method="inverted_cdf").tolist()
    return {
        "text": name,
        "n": len(found),
        "median": middle,
        "90%": ninety,
        "99%": ninety_nine,
        "longest": max(found),
        "bucket": "-" if bucket is None else bucket,
        "cut": "-" if bucket is None else f"{sum(length > bucket for length in found) / len(found):.1%}",
    }


def example(record: Record, layout: Layout, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """Return the parts of one record's source as (name, text), and its reference."""
    lines = in_buckets(record, layout, tokenizer) if isinstance(layout, BucketLayout) else []
    return [*(lines or in_parts(record, layout, tokenizer)), ("reference", record.reference or "(none)")]


def in_parts(record: Record, layout: Layout, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """Return what stands in the source from one field to the next, and how many tokens each part has."""
    source = layout.encode([record], tokenizer)
    names = {KNOWLEDGE: "knowledge", **{FIRST_FIELD + i: name for i, name in enumerate(source.fields)}}
    found = zip(source.segments[0].tolist(), source.input_ids[0].tolist(), strict=True)
    lines = []
    for segment, run in groupby(found, key=itemgetter(0)):
        ids = [token for _, token in run]
        name = names.get(segment, "" if segment < FIRST_TURN else f"turn {segment - FIRST_TURN + 1}")
        lines.append((name or "template", f"{str(tokenizer.decode(ids)).strip()}  [{len(ids)} tokens]"))
    return lines


def in_buckets(record: Record, layout: BucketLayout, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """Return the buckets of one record, what was cut off after a bar."""
    source = layout.encode([record], tokenizer)
    ids, segments = source.input_ids[0], source.segments[0]
    recent = record.history[-layout.turns :]
    empty = layout.turns - len(recent)
    buckets = [("begin", BEGIN, None, 0), ("knowledge", KNOWLEDGE, record.knowledge, layout.knowledge_tokens)]
    buckets += [
        (f"turn {i - layout.turns}", FIRST_TURN + i, turn.text, layout.turn_tokens)
        for i, turn in enumerate(recent, start=empty)
    ]
    lines, padding = [], len(ids)
    for name, segment, text, size in buckets:
        (first,) = first_tokens([text], [size + SHOWN], tokenizer) if text else [First([])]
        tokens = first.ids
        kept = ids[segments == segment][: min(len(tokens), size) + (segment != KNOWLEDGE)]
        shown = str(tokenizer.decode(kept)).strip()
        if len(tokens) > size:
            more = " …" if first.characters or len(tokens) > size + SHOWN else ""
            shown += f" … | {str(tokenizer.decode(tokens[size : size + SHOWN])).strip()}{more}"
        shown += f"  [{min(len(tokens), size)} of {size} tokens]" if text else ""
        lines.append((name, shown or "(empty)"))
        padding -= len(kept)
    lines.append(("padding", f"{padding} of {len(ids)} positions, {'' if layout.attend_padding else 'not '}attended"))
    return lines
