"""The README and the pages of docs/: their Python runs, their commands compose, their links lead somewhere."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch

from zsc.cli.check import check_overrides
from zsc.cli.completion import CompletionOptions
from zsc.cli.expand import expand, multirun
from zsc.cli.flags import named, split_arguments
from zsc.cli.groups import GROUPS, config_folder
from zsc.cli.help import COMMANDS, options_of
from zsc.cli.hydra import OF_TABLES
from zsc.cli.plain import plain_options
from zsc.data.layouts import BucketLayout
from zsc.knobs import AttentionBias, apply
from zsc.knobs.probe import probe
from zsc.metrics.score import Row
from zsc.study.init import InitOptions
from zsc.study.options import LsOptions
from zsc.study.runs import RunsOptions
from zsc.study.show import ShowOptions
from zsc.tables.summary import summary

ROOT = Path(__file__).parents[1]
SITE = runpy.run_path(str(ROOT / "scripts" / "site_pages.py"))
README = ROOT / "README.md"
FILES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {file: file.read_text(encoding="utf-8") for file in FILES}
TEXT = "\n".join(PAGES.values())
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINES = re.findall(rf"^\$ zsc ((?:{'|'.join(COMMANDS)})\b[^#\n>]*)", TEXT.replace("\\\n", " "), re.MULTILINE)
LINKING = [*FILES, *sorted((ROOT / "results").glob("*.md")), *sorted((ROOT / "zsc").rglob("*.md"))]
MOST_LINES = 150
PLAIN = {
    "ls": LsOptions,
    "init": InitOptions,
    "runs": RunsOptions,
    "show": ShowOptions,
    "completion": CompletionOptions,
}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with the configs of one's own that pages show."""
    folder = tmp_path_factory.mktemp("pages")
    for name, text in re.findall(r"```yaml\n# (own/\S+\.yaml)\n(.*?)```", TEXT, re.DOTALL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("line", LINES)
def test_the_commands_compose(line, own, monkeypatch):
    monkeypatch.chdir(own)
    Path("last").mkdir(exist_ok=True)  # which is then the run that is called so
    name, *words = shlex.split(line)
    if name in PLAIN:
        plain_options(PLAIN[name], named(name, words))
        return
    flags, overrides = split_arguments(named(name, words))
    if name in OF_TABLES and any(word.startswith("table=") for word in overrides):
        name = "table"
    short = "model" in GROUPS.get(name, ())
    several = multirun(flags, overrides)
    check_overrides(name, flags, expand(overrides, several, config_folder(flags), short))


def test_what_make_demo_prints_is_of_one_piece():
    """Words, examples and table stand in the order of the command, and the words are those of the table's numbers."""
    (printed,) = re.findall(r"What `make demo` prints .*?```text\n(.*?)```", TEXT, re.DOTALL)
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


def test_the_readme_is_short_and_shows_its_picture():
    assert len(PAGES[README].splitlines()) <= MOST_LINES
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", PAGES[README])
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG") and (ROOT / picture).stat().st_size <= 150_000


def headings(text):
    """Return the anchors of the headings of a page, as GitHub and MkDocs make them."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)", outside, re.MULTILINE)
    }


@pytest.mark.parametrize("page", LINKING, ids=[str(file.relative_to(ROOT)) for file in LINKING])
def test_links_lead_to_what_is_there(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in SITE["links"](text):
        file = (page.parent / target).resolve() if target else page
        generated = file.parent == ROOT / "docs" / "reference" and file.name in SITE["PAGES"]
        assert generated or file.exists(), f"{target}{anchor}"
        if anchor and not generated:
            assert anchor[1:] in headings(file.read_text(encoding="utf-8")), f"{target}{anchor}"


def test_the_page_of_options_has_all_of_every_command():
    page = SITE["PAGES"]["options.md"]()
    for command in COMMANDS:
        section = page.partition(f"## zsc {command}\n")[2].partition("\n## ")[0]
        assert all(f"| `{option.name}` |" in section for option in options_of(command)), command


def test_the_page_of_choices_has_all_of_every_group():
    page = SITE["PAGES"]["choices.md"]()
    for file in (ROOT / "configs").glob("*/*.yaml"):
        group, name = file.parent.name, file.stem
        assert f"\n### {group}={name}\n" in page or f"\n| `{name}` |" in page, file
    assert "| `knob.strength` | `5.0` | 1 changes nothing; a list makes one setting of each |" in page


def test_a_notebook_becomes_a_page_with_its_outputs():
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "text"]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"]}}]},
        {"cell_type": "code", "source": ["say()"], "outputs": [{"text": "said\n"}, {"data": {"image/png": "iVBO\n"}}]},
    ]
    assert SITE["notebook"]({"cells": cells}) == (
        "# A\ntext\n\n```python\n1 + 1\n```\n\n```text\n2\n```\n\n```python\nsay()\n```\n\n```text\nsaid\n```\n\n"
        "![Output](data:image/png;base64,iVBO)\n"
    )


def test_links_of_the_site_lead_to_where_things_are_there():
    text = "[a](../results/claims.md#x) [b](notebooks/quickstart.ipynb) [c](#y) [d](https://e.org) `[f](../g.md)`"
    assert SITE["moved"]("sources.md", text) == (
        "[a](results/claims.md#x) [b](notebooks/quickstart.md) [c](#y) [d](https://e.org) `[f](../g.md)`"
    )
    assert SITE["moved"]("results/claims.md", "[a](../docs/sources.md) [b](parlor)") == (
        "[a](../sources.md) [b](parlor/index.md)"
    )


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_first_python_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 6
    exec(re.sub(r"limit=\d+", "limit=2", code), {})
    out = capsys.readouterr().out
    assert "knowledge_precision" in out and re.search(r"attn_bias\(knowledge, 5\).*\n\n\[\d rows x \d columns\]", out)


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
