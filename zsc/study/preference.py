"""From filled-in sheets to preference rates, with intervals, a test and the agreement of annotators."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zsc.errors import ZscError
from zsc.metrics.resampling import bootstrap_weights, interval
from zsc.spreadsheets import unguarded
from zsc.tables.annotation import ANSWERS

WORTH = {"on": 1.0, "tie": 0.5, "off": 0.0}

Votes = dict[str, dict[tuple[str, str], str]]  # of each question, by annotator and pair: on, off or tie


@dataclass(frozen=True)
class LeftOut:
    """How many of the ``examples`` of a run had ``identical`` responses, and are in no pair."""

    identical: int
    examples: int


def read_votes(file: Path, sides: Mapping[str, str], questions: Sequence[str]) -> Votes:
    """Return the answers in a filled-in sheet. ``sides`` says for each pair which of A and B is the knob's.

    Commas or semicolons may stand between fields; case and spaces of answers do not matter; empty answers are left out.
    A sheet without names is of one annotator, named after the file. Raises ZscError for what is no such sheet.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ZscError(f"cannot read {file}: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise ZscError(f"{file}: not UTF-8 text at byte {error.start}. Save it again as UTF-8.") from error
    csv.field_size_limit(2**31 - 1)  # a long history is one field
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    lacking = [name for name in ("pair", *questions) if name not in (reader.fieldnames or [])]
    if lacking:
        raise ZscError(f"{file}: no column '{lacking[0]}'. Keep the sheet's columns: pair, {', '.join(questions)}.")
    votes: Votes = {question: {} for question in questions}
    try:
        for row in reader:
            if any((value or "").strip() for value in row.values() if not isinstance(value, list)):
                _read_row(row, f"{file}, line {reader.line_num}", file.stem, sides, votes)
    except csv.Error as error:
        raise ZscError(f"{file}, line {reader.line_num}: not a whole table ({error}).") from error
    return votes


def _read_row(row: Mapping[str, Any], where: str, sheet: str, sides: Mapping[str, str], votes: Votes) -> None:
    """Put the answers of one line of the ``sheet`` into ``votes``."""
    pair = (row["pair"] or "").strip()
    if pair not in sides:
        raise ZscError(f"{where}: pair '{pair}' is none of this key's {len(sides)} pairs.")
    annotator = unguarded((row.get("annotator") or "").strip()) or sheet
    for question, answers in votes.items():
        answer = _answer((row[question] or "").strip(), where, question)
        if answer is None:
            continue
        if (annotator, pair) in answers:
            raise ZscError(f"{where}: {annotator} answers pair {pair} twice.")
        answers[annotator, pair] = answer if answer == "tie" else "on" if answer == sides[pair] else "off"


def _answer(text: str, where: str, question: str) -> str | None:
    if not text:
        return None
    for answer in ANSWERS:
        if text.lower() == answer.lower():
            return answer
    raise ZscError(f"{where}: '{text}' is no answer to '{question}': write {', '.join(ANSWERS)}, or nothing.")


def merged(sheets: Mapping[Path, Votes]) -> Votes:
    """Return the votes of all sheets. Raises ZscError if two hold answers of the same annotator to the same pair."""
    votes: Votes = {}
    for file, sheet in sheets.items():
        for question, answers in sheet.items():
            known = votes.setdefault(question, {})
            if twice := sorted(set(known) & set(answers)):
                raise ZscError(f"{file}: {twice[0][0]} has answered pair {twice[0][1]} in another file.")
            known |= answers
    return votes


def preference_rows(
    votes: Votes,
    pairs: int,
    left_out: LeftOut | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return a row per question: how often the knob's response is preferred, a tie counting half [D].

    ``preferred`` is the rate among the pairs, which all differ. ``overall``, where it is known what was ``left_out``,
    is that of all examples: with a share q of identical responses, which are ties, (1 - q) preferred + q / 2 [D].
    The interval resamples pairs, all answers to a pair kept together, and for ``overall`` the share as well, as that
    of a sample of examples. ``p`` is that of the exact two-sided sign test on the pairs whose answers have a majority,
    which ties do not change. ``alpha`` is Krippendorff's, nominal, among the pairs; None where it is not defined: with
    one annotator, or when all answers are the same.
    """
    from scipy.stats import binomtest

    rows = []
    for question, answers in votes.items():
        by_pair: dict[str, list[str]] = {}
        for (_, pair), vote in answers.items():
            by_pair.setdefault(pair, []).append(vote)
        row: dict[str, Any] = {"question": question, "preferred": None, "low": None, "high": None}
        sums = np.array([[sum(WORTH[vote] for vote in pair_votes), len(pair_votes)] for pair_votes in by_pair.values()])
        if left_out is not None:
            row |= {"overall": None, "overall_low": None, "overall_high": None}
        if len(sums):
            totals = np.concatenate([weights @ sums for weights in bootstrap_weights(len(sums), resamples, seed)])
            rate, rates = float(sums[:, 0].sum() / sums[:, 1].sum()), totals[:, 0] / totals[:, 1]
            low, high = interval(rates, confidence)
            row |= {"preferred": rate, "low": low, "high": high}
            if left_out is not None:
                share = left_out.identical / left_out.examples
                shares = np.random.default_rng(seed).binomial(left_out.examples, share, len(rates)) / left_out.examples
                low, high = interval(with_ties(rates, shares), confidence)
                row |= {"overall": with_ties(rate, share), "overall_low": low, "overall_high": high}
        leaning = [statistics.mean(WORTH[vote] for vote in pair_votes) - 0.5 for pair_votes in by_pair.values()]
        won, lost = sum(lean > 0 for lean in leaning), sum(lean < 0 for lean in leaning)
        annotators = {annotator for annotator, _ in answers}
        row |= {
            "wins": sum(vote == "on" for vote in answers.values()),
            "ties": sum(vote == "tie" for vote in answers.values()),
            "losses": sum(vote == "off" for vote in answers.values()),
            "p": float(binomtest(won, won + lost).pvalue) if won + lost else None,
            "annotators": len(annotators),
            "unanswered": len(annotators) * pairs - len(answers),
            "alpha": agreement(answers),
        }
        rows.append(row)
    return rows


def with_ties(rate: Any, share: Any) -> Any:
    """Return the ``rate`` of preference, numbers or arrays, where a ``share`` of examples beside are ties."""
    return (1 - share) * rate + share / 2


def agreement(answers: Mapping[tuple[str, str], str]) -> float | None:
    """Return Krippendorff's alpha of ``answers`` by annotator and pair, by nltk; None where it is not defined."""
    from nltk.metrics.agreement import AnnotationTask

    judged: dict[str, int] = {}
    for _, pair in answers:
        judged[pair] = judged.get(pair, 0) + 1
    shared = [(annotator, pair, vote) for (annotator, pair), vote in answers.items() if judged[pair] > 1]
    if len({vote for _, _, vote in shared}) < 2:
        return None
    return float(AnnotationTask(shared).alpha())
