"""`zsc data`: what a dataset holds, and how the model sees it."""

import json
from dataclasses import asdict

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.dataset import card_of, describe
from zsc.study.options import DataOptions
from zsc.study.watch import Terminal, say_remarks
from zsc.tables.described import card_text, described_text
from zsc.tables.render import render


def data(cfg: DictConfig) -> None:
    """Print the card of the dataset that ``cfg`` (configs/data.yaml) names, counts, lengths and examples.

    ``table`` prints all of it, the card first, so that it is there when the data is not; ``json`` is one object of all
    of it, ``md`` the tables, ``csv`` the lengths.
    """
    options = options_of(DataOptions, cfg)
    style, card = options.format, card_of(options)
    if card and style == "table":
        print(card_text(card) + "\n")
    found = describe(options)
    say_remarks(found.remark, Terminal())
    if style == "json":
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False, allow_nan=False))
    elif style == "csv":
        print(render(found.lengths, style))
    elif style == "md":
        print("\n\n".join(render(rows, style) for rows in (found.files, found.counts, found.lengths) if rows))
    else:
        print(described_text(found.files, found.counts, found.lengths, found.examples))
