"""The Python of the README runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from zsc.cli.check import check_overrides
from zsc.cli.expand import expand
from zsc.cli.flags import named, split_arguments
from zsc.data.layouts import BucketLayout
from zsc.knobs import AttentionBias, apply
from zsc.knobs.probe import probe
from zsc.metrics.score import Row
from zsc.tables.summary import summary

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md"))
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


COMMANDS = re.findall(
    r"^\$ zsc ((?:run|sweep|plan|table|tune|bench|data|doctor) [^#\n>]*)",
    (README + DOCS).replace("\\\n", " "),
    re.MULTILINE,
)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_compose(line):
    name, *words = shlex.split(line)
    flags, overrides = split_arguments(named(name, words))
    check_overrides(name, flags, expand(overrides))


def test_what_make_demo_prints_is_of_one_piece():
    """Words, examples and table stand in the order of the command, and the words are those of the table's numbers."""
    (printed,) = re.findall(r"What `make demo` prints .*?```text\n(.*?)```", README, re.DOTALL)
    said, heading, *examples, table, last = printed.rstrip().split("\n\n")
    named, names, _, *lines = table.splitlines()
    on = named.removeprefix("on: ")
    head = [on if name == "on" else name for name in re.split(r"\s{2,}", names)]
    rows = []
    for line in lines[: len(lines) - 2]:
        values = dict(zip(head, re.split(r"\s{2,}", line), strict=True))
        for setting in ("off", on, "difference"):
            value = float(values[setting].split()[0])
            p = float(values["p (Holm)"]) if setting == "difference" else None
            rows.append(Row(setting, values["metric"], value, value, value, 240, 3, 0, p=p, p_holm=p))
    changed, responses = map(int, re.match(r"(\d+) of (\d+) responses changed", said).groups())
    assert summary(rows, responses, {on: changed}, {}) == [" ".join(said.split())]
    assert heading.startswith(f"2 of the {changed} changed responses of {on}") and len(examples) == 2
    assert last.startswith("run: runs/attn_bias-parlor-mini-") and max(map(len, printed.splitlines())) <= 120


def block(part):
    (found,) = [text for text in BLOCKS if part in text]
    return found


def test_the_library_example(checkpoint, capsys):
    exec(block("plain_source").replace("google-t5/t5-small", str(checkpoint)), {})
    assert capsys.readouterr().out.startswith("[")


@pytest.fixture
def first_half():
    names = {"__name__": "first_half"}
    exec(compile(block("class FirstHalf"), "first_half.py", "exec", dont_inherit=True), names)
    return names["FirstHalf"]


def test_the_example_of_a_new_knob_acts_as_it_says(tiny, tokenizer, parlor, first_half):
    source = BucketLayout().encode(parlor[:3], tokenizer)
    model = tiny("bart", "sdpa")
    ids = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
    half = int(source.attention_mask[0].sum()) // 2
    one, same = source.select([0]), AttentionBias(f"tokens:0:{half}", 3.0)
    with torch.no_grad(), apply(model, [first_half(3.0)], one):
        actual = model(**{k: v[:1] for k, v in ids.items()}, decoder_input_ids=ids["input_ids"][:1, :4]).logits
    with torch.no_grad(), apply(model, [same], one):
        expected = model(**{k: v[:1] for k, v in ids.items()}, decoder_input_ids=ids["input_ids"][:1, :4]).logits
    torch.testing.assert_close(actual, expected)
    assert str(first_half()) == "first_half(2)" and first_half(1.0).neutral
    assert probe(model, [first_half(3.0)], source).kl > 0
