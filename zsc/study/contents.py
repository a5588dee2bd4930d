"""What a dataset holds: counts, lengths against the layout's buckets, and examples as the model sees them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.data.layout import BEGIN, FIRST_TURN, KNOWLEDGE, BucketLayout, First, first_tokens
from zsc.data.record import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PIECE = 100_000  # characters
SHOWN = 200  # tokens of what is cut off


def counts(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what there is of each kind, as rows of ``what`` and ``count``."""
    references = [record.reference for record in records if record.reference]
    turns = [len(record.history) for record in records]
    found = {
        "records": len(records),
        "with knowledge": sum(record.knowledge is not None for record in records),
        "with a reference": len(references),
        "references with a question mark": sum("?" in text for text in references),
        "topics": len({record.topic for record in records if record.topic}),
        **({"without a history": turns.count(0)} if 0 in turns else {}),
        "turns of history, median": median_low(turns),
        "turns of history, most": max(turns),
    }
    return [{"what": what, "count": count} for what, count in found.items()]


def lengths(
    records: Sequence[Record], layout: BucketLayout, tokenizer: PreTrainedTokenizerBase, new_tokens: int
) -> list[dict[str, Any]]:
    """Return how long texts are, in tokens, and what share of them is cut by its bucket.

    Of the history, the turns that the layout takes are measured. A reference is compared with ``new_tokens``, the most
    a response may have; the history is counted in turns.
    """
    known = [record.knowledge for record in records if record.knowledge]
    turns = [turn.text for record in records for turn in record.history[-layout.turns :]]
    references = [record.reference for record in records if record.reference]
    measured = [
        ("knowledge", _tokens(known, tokenizer), layout.knowledge_tokens),
        ("turn", _tokens(turns, tokenizer), layout.turn_tokens),
        ("reference", _tokens(references, tokenizer), new_tokens),
        ("history, in turns", [len(record.history) for record in records], layout.turns),
    ]
    return [_distribution(name, found, bucket) for name, found, bucket in measured if found]


def _tokens(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the lengths of ``texts`` in tokens; those beyond ``PIECE`` characters are counted piece by piece [D]."""
    pieces = [[text[i : i + PIECE] for i in range(0, len(text), PIECE)] for text in texts]
    every = [piece for pieces_of_text in pieces for piece in pieces_of_text]
    ids = tokenizer(every, add_special_tokens=False, verbose=False)["input_ids"] if every else []
    counts = iter([len(one) for one in ids])
    return [sum(next(counts) for _ in pieces_of_text) for pieces_of_text in pieces]


def _distribution(name: str, found: list[int], bucket: int) -> dict[str, Any]:
    middle, ninety, ninety_nine = np.percentile(found, [50, 90, 99], method="inverted_cdf").tolist()
    return {
        "text": name,
        "n": len(found),
        "median": middle,
        "90%": ninety,
        "99%": ninety_nine,
        "longest": max(found),
        "bucket": bucket,
        "cut": f"{sum(length > bucket for length in found) / len(found):.1%}",
    }


def example(record: Record, layout: BucketLayout, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """Return the buckets of one record as (name, text), what was cut off after a bar, and its reference."""
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
    return [*lines, ("reference", record.reference or "(none)")]
