"""What the page of `zsc play` is made of, without a page: answers, commands, settings and what can be set."""

import asyncio
import json
import re
import shlex
import socket
import threading
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import zsc
import zsc.install
from tests.causal_checkpoints import save_causal
from zsc.cli.check import check_overrides
from zsc.cli.compose import composed, options_of, shipped_configs
from zsc.cli.expand import expand
from zsc.cli.flags import split_arguments
from zsc.cli.groups import config_folder
from zsc.data.options import DatasetOptions
from zsc.data.record import Focus, Record, Turn, parse_record
from zsc.errors import ZscError
from zsc.knobs import KNOBS, Dose, SelfAttentionBias
from zsc.models.options import ModelOptions
from zsc.options import read
from zsc.study.options import KnobChoice, KnobOptions, RunOptions
from zsc.study.play import controls
from zsc.study.play.command import knob_words, record_line, shared_words
from zsc.study.play.controls import STEPS, Scale
from zsc.study.play.options import PlayOptions
from zsc.study.play.playground import Playground
from zsc.study.play.serve import guarded, listen
from zsc.study.play.texts import edited, texts_of
from zsc.study.tasks import over, task_values
from zsc.tables.examples import runs
from zsc.tables.played import played, problem

SHARED = ["dataset.limit=3"]


@pytest.fixture(scope="module")
def playground():
    return Playground(PlayOptions(dataset=DatasetOptions("parlor", 3)), SHARED)


def parts_of(playground, **values):
    """The knobs named, with some values, as the controls of the page give them."""
    found = []
    for section in playground.sections:
        if section.name in values:
            own = values[section.name]
            found.append(section.options([own.get(one.field, one.value) for one in section.controls]))
    assert len(found) == len(values)
    return found


SETTINGS = {
    "attn_bias": {"attn_bias": {"strength": 8}},
    "two": {"attn_bias": {"strength": 2.0}, "ctx_aug": {"phrases": "positive", "strength": 3.0}},
    "dec_mix": {"dec_mix": {"weight": 0.4, "level": "probs"}},
    "swap": {"swap": {"component": "feed_forward"}},
    "layers": {"self_attn_bias": {"profile": "distant", "layers": "[0, 1]"}},
    "text": {"attn_bias": {"profile": "text:the|a, b", "strength": 0.25, "heads": "[1]"}},
}


def test_responses_are_those_of_a_run(playground, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {name: parts_of(playground, **SETTINGS[name]) for name in ("attn_bias", "two", "dec_mix")}
    limited = zsc.dataset("parlor", limit=3)
    made = zsc.sweep(*settings.values(), dataset=limited, seeds=[7], metrics=["length"], quiet=True)
    expected = {(row["setting"], row["id"]): row for row in made.folder.rows()}
    changed = 0
    for number, parts in ((0, "attn_bias"), (1, "attn_bias"), (1, "two"), (2, "dec_mix")):
        answer = playground.answer(number, {}, settings[parts], 7)
        off, on = (expected[name, playground.records[number].id] for name in ("off", answer.setting))
        assert (answer.off.text, answer.on.text) == (off["response"], on["response"])
        assert answer.on.tokens == on["tokens"] and answer.on.nll == pytest.approx(on["nll"], abs=1e-3)
        changed += answer.off.text != answer.on.text
    assert changed >= 3


def composed_as(line):
    """The options that a printed command gives."""
    name, command, *words = shlex.split(line)
    assert (name, command) == ("zsc", "run")
    flags, overrides = split_arguments(words)
    folder = config_folder(flags)
    overrides = expand(overrides, several=False, folder=folder)
    check_overrides("run", flags, overrides)
    with shipped_configs():
        return options_of(RunOptions, composed("run", overrides, folder))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_command_gives_what_is_shown(playground, name):
    parts = parts_of(playground, **SETTINGS[name])
    options = composed_as(playground.command(playground.answer(0, {}, parts, 5), parts))
    assert options.seeds == (5,) and options.dataset == playground.options.dataset
    assert options.knob == KnobChoice(tuple(parts))


PLAYED = re.findall(
    r"^\$ zsc play ?([^#\n]*)", Path(zsc.__file__).parents[1].joinpath("docs/play.md").read_text(), re.M
)


@pytest.mark.parametrize("line", PLAYED)
def test_the_commands_of_its_page_in_the_docs_compose(line):
    flags, overrides = split_arguments(shlex.split(line))
    check_overrides("play", flags, expand(overrides))


def test_a_command_says_no_more_than_it_must(playground):
    plain = playground.answer(0, {}, [], 0)
    assert plain.on is None and plain.attended is None
    assert playground.command(plain, []) == "zsc run dataset.limit=3 seed=0"
    parts = parts_of(playground, attn_bias={})
    assert knob_words(parts, playground.defaults) == ["knob=attn_bias", "knob.strength=5"]
    words = ["model=mine", "knob=attn_bias", "knob.strength=2", "port=1", "examples=3", "seeds=[1]", "task=dialogue"]
    assert shared_words([*words, "--config-dir", "own"]) == ["model=mine", "task=dialogue", "--config-dir", "own"]


def test_an_edited_record_is_run_from_its_file(playground, command):
    parts = parts_of(playground, attn_bias={})
    texts = {"knowledge": "Jaws, a film about a shark, is from 1975.", "history": "Hello.\n\n Seen  a film? "}
    answer = playground.answer(1, texts, parts, 4)
    assert answer.edited and [turn.text for turn in answer.record.history] == ["Hello.", "Seen a film?"]
    assert answer.record.id == playground.records[1].id and answer.record.reference is None
    Path("records.jsonl").write_text(record_line(answer.record), encoding="utf-8")
    status, _, err = command(*shlex.split(playground.command(answer, parts))[1:], "metrics=[length]", "output=made")
    assert status == 0, err
    rows = [json.loads(line) for line in Path("made/generations.jsonl").read_text().splitlines()]
    assert [row["response"] for row in rows] == [answer.off.text, answer.on.text]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_saved_setting_is_an_option_of_its_own_folder(playground, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    parts = parts_of(playground, **SETTINGS[name])
    file, use = playground.save("mine", parts, 3)
    assert file == Path("play/knob/mine.yaml") and use.endswith("--config-dir play")
    assert composed_as(use).knob == KnobChoice(tuple(parts)) and composed_as(use).seeds == (3,)
    first, second, *_ = file.read_text().splitlines()
    assert first.startswith(f"# {'+'.join(map(str, playground._knobs(parts)))}") and second == f"# {use}"


def test_what_cannot_be_saved(playground, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = parts_of(playground, attn_bias={})
    for name in ("", "../up", "a b", "1st", "ünter"):
        with pytest.raises(ZscError, match="cannot name a setting"):
            playground.save(name, parts, 0)
    with pytest.raises(ZscError, match="comes with zsc"):
        playground.save("swap", parts, 0)
    with pytest.raises(ZscError, match="no knob is on"):
        playground.save("mine", [], 0)
    Path("play/knob").mkdir(parents=True)
    Path("play/knob/mine.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ZscError, match="symbolic link"):
        playground.save("mine", parts, 0)
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["knob", "mine.yaml", "play"]


def test_settings_are_saved_in_the_folder_that_the_page_was_started_with(playground, tmp_path):
    given = Playground(playground.options, ["--config-dir", str(tmp_path / "own")], playground.records)
    file, use = given.save("mine", parts_of(given, attn_bias={}), 0)
    assert file == tmp_path / "own" / "knob" / "mine.yaml" and use.count("--config-dir") == 1


def test_attention_moves_to_where_the_weight_is(playground):
    answer = playground.answer(0, {}, parts_of(playground, attn_bias={"strength": 20.0}), 0)
    on, off = (
        sum(getattr(token, which) for token in answer.attended.tokens if token.segment == 1) for which in ("on", "off")
    )
    assert on > off + 0.1
    ones = playground.answer(0, {}, parts_of(playground, attn_bias={"strength": 1.0}), 0)
    assert ones.on == ones.off and all(token.on == token.off for token in ones.attended.tokens)


def test_what_is_refused_is_one_line(playground):
    biased = parts_of(playground, attn_bias={})
    for texts, parts, seed, words in [
        ({"knowledge": ""}, biased, 0, "has no knowledge, which attn_bias"),
        ({"knowledge": " ", "history": "\n"}, [], 0, "neither knowledge nor history"),
        ({"knowledge": "a\0b"}, [], 0, "NUL"),
        ({}, parts_of(playground, attn_bias={"layers": "[99]"}), 0, "layer 99 does not exist"),
        ({}, parts_of(playground, attn_bias={"layers": "each"}), 0, "make 4 settings"),
        ({}, parts_of(playground, attn_bias={"profile": "source"}), 0, "no field 'source'"),
        ({}, parts_of(playground, attn_bias={"strength": -1}), 0, "strength"),
        ({}, biased, -1, "seed=-1"),
    ]:
        with pytest.raises(ZscError) as refused:
            playground.answer(0, texts, parts, seed)
        assert words in str(refused.value) and "\n" not in str(refused.value)
    for value, words in ((None, "give a number"), (True, "give a number")):
        with pytest.raises(ZscError, match=words):
            parts_of(playground, attn_bias={"strength": value})
    with pytest.raises(ZscError, match=r"such as \[0,1\]"):
        parts_of(playground, attn_bias={"layers": "[0,"})


def test_threads_are_answered_as_if_alone(playground):
    asked = [
        (number, parts_of(playground, **SETTINGS[name])) for number, name in ((0, "dec_mix"), (1, "swap"), (1, "two"))
    ]
    alone = [playground.answer(number, {}, parts, 1) for number, parts in asked]
    found = {}

    def ask(place):
        number, parts = asked[place]
        found[place] = playground.answer(number, {}, parts, 1)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(asked))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [(found[i].off, found[i].on) for i in range(len(asked))] == [(one.off, one.on) for one in alone]


def test_knobs_begin_as_the_command_says_and_as_the_model_can(playground, checkpoint):
    assert [(one.name, one.on) for one in playground.sections] == [
        ("attn_bias", True), ("ctx_aug", False), ("self_attn_bias", False), ("dec_mix", False), ("swap", False),
    ]  # fmt: skip
    given = KnobChoice((KnobOptions("ctx_aug", {**playground.defaults["ctx_aug"].values, "phrases": "formal"}),))
    options = PlayOptions(model=ModelOptions(str(checkpoint)), knob=given, dataset=DatasetOptions("parlor", 2))
    tiny = Playground(options)
    by_name = {one.name: one for one in tiny.sections}
    assert [one.name for one in tiny.sections if one.on] == ["ctx_aug"] and set(tiny.lacking) == {"dec_mix"}
    assert {one.field: one.value for one in by_name["ctx_aug"].controls}["phrases"] == "formal"
    assert {one.field: one.value for one in by_name["swap"].controls}["by"] == "layer_mean"  # which needs no other


def test_a_knob_of_ones_own_is_there_with_its_dose(playground, monkeypatch):
    @dataclass(frozen=True)
    class Own(SelfAttentionBias):
        dose = Dose("strength", neutral=1.0, weakest=2.0, strongest=50.0, geometric=True)

    monkeypatch.setitem(KNOBS, "own", Own)
    config = {"own": {"name": "own", "strength": 3.0, "size": 2}}
    monkeypatch.setattr(controls, "group_values", lambda group: {**zsc.configs.group_values(group), **config})
    given = Playground(playground.options, (), playground.records)
    (section,) = [one for one in given.sections if one.name == "own"]
    assert (section.scale, section.title) == (Scale(2.0, 50.0, 1.0, True), "own")
    assert [(one.field, one.kind, one.value) for one in section.controls] == [
        ("strength", "dose", 3.0), ("size", "count", 2),
    ]  # fmt: skip
    assert given.answer(0, {}, [section.options([9.0, 2])], 0).on is not None


def test_scales_by_hand(playground):
    scales = {one.name: one.scale for one in playground.sections}
    bias, codes, mixing = scales["attn_bias"], scales["ctx_aug"], scales["dec_mix"]
    assert [bias.dose(position) for position in (0, 40, 68, 80, STEPS)] == [0.1, 1.0, 5.0, 10.0, 100.0]
    assert [codes.dose(position) for position in (0, 1, 40, STEPS)] == [0.0, 0.11, 1.0, 100.0]
    assert [mixing.dose(position) for position in (0, 30, 60, STEPS)] == [0.0, 0.25, 0.5, 1.0]
    assert scales["swap"] is None
    assert [bias.position(dose) for dose in (0.0, 0.1, 1.0, 5.0, 1e6)] == [0, 0, 40, 68, STEPS]
    assert codes.position(0.0) == 0 and mixing.position(0.5) == 60


RECORD = Record(
    "a", (Turn("x", "One."), Turn("y", "Two."), Turn("y", "Three.")), "Human.", "Some words.",
    fields={"document": "A day in 1975."}, focus=(Focus("1975", "document", 9), Focus("day")),
)  # fmt: skip


def test_texts_of_a_record_and_back():
    fields = ["history", "knowledge", "document", "focus", "topic"]
    texts = texts_of(RECORD, fields)
    assert texts == {
        "history": "One.\nTwo.\nThree.", "knowledge": "Some words.", "document": "A day in 1975.", "focus": "1975\nday",
        "topic": "",
    }  # fmt: skip
    spaced = {**texts, "history": "\r\n One. \n\nTwo.\nThree.\n", "knowledge": " Some  words."}
    assert edited(RECORD, texts) is RECORD and edited(RECORD, spaced) is RECORD
    longer = edited(RECORD, {**texts, "history": "Zero.\nOne.\nTwo.\nThree.\nFour."})
    assert "".join(turn.speaker for turn in longer.history) == "xyxyy"  # those known from the last on back
    assert longer.reference is None and longer.focus == RECORD.focus
    shorter = edited(RECORD, {"history": "Four."})
    assert [(turn.speaker, turn.text) for turn in shorter.history] == [("y", "Four.")]
    moved = edited(RECORD, {**texts, "document": "In 1975 on a day."})
    assert moved.focus == (Focus("1975"), Focus("day"))
    assert edited(RECORD, {**texts, "focus": "words"}).focus == (Focus("words"),)
    assert edited(RECORD, {**texts, "knowledge": ""}).knowledge is None
    without = Record("b", (), None, "Known.")
    assert [turn.speaker for turn in edited(without, {"history": "1\n2\n3"}).history] == ["A", "B", "A"]


def test_changed_words_by_hand():
    assert runs("a b c", "a x y c") == [
        [("a ", True), ("b ", False), ("c", True)], [("a ", True), ("x y ", False), ("c", True)],
    ]  # fmt: skip


class Parsed(HTMLParser):
    """The tags and the text of a piece of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_what_people_and_models_write_is_text(playground):
    evil = "<script>alert(1)</script> & <b>"
    answer = playground.answer(0, {"knowledge": evil}, parts_of(playground, attn_bias={}), 0)
    answer = replace(answer, off=replace(answer.off, text=evil), on=replace(answer.on, text=f"{evil} <i>"))
    shown = Parsed(played(answer))
    assert shown.tags == {"div", "section", "h3", "p", "span", "dl", "dt", "dd", "ins"}
    assert shown.text.count("<script>alert(1)</script>") == 3 and "<i>" in shown.text
    said = Parsed(problem(evil))
    assert said.tags == {"p"} and said.text == evil


def test_where_the_page_listens(tmp_path):
    with pytest.raises(ZscError, match="port=70000 must be the number of a port"):
        read(PlayOptions, {"port": 70000})
    with pytest.raises(ZscError, match="host=no-such-host is no address"):
        listen(PlayOptions(host="no-such-host"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen(PlayOptions(port=port)) as found:
            assert found.getsockname()[0] == "127.0.0.1" and port < found.getsockname()[1] < port + 20
    with listen(PlayOptions(port=0)) as found:
        assert found.getsockname()[1] > 0


def asked_of(app, host):
    """The status and the headers that an application gives to a request for a host."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "http", "headers": [(b"host", host)]}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_page_of_this_machine_answers_to_its_names_alone():
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    for host in (b"127.0.0.1:7860", b"localhost:7860", b"[::1]:7860"):
        status, headers = asked_of(guarded(inner, "127.0.0.1"), host)
        assert status == 200 and b"default-src 'self'" in headers[b"content-security-policy"]
    assert asked_of(guarded(inner, "127.0.0.1"), b"evil.example:7860")[0] == 421
    assert asked_of(guarded(inner, "0.0.0.0"), b"evil.example:7860")[0] == 200


def test_without_gradio_the_command_says_how_to_install_it(command, monkeypatch):
    found = zsc.install.version

    def version(name):
        if name == "gradio":
            raise PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(zsc.install, "version", version)
    status, out, err = command("play", "open=false")
    assert (status, out) == (2, "") and len(err.splitlines()) == 1
    assert "zsc play needs gradio" in err and "pip install" in err


def test_other_tasks_have_fields_of_their_own(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = "Rain fell. The fair opens in 1975 on Monday."
    lines = [{"id": "a", "document": document, "focus": "in 1975"}, {"id": "b", "document": "Sun shone."}]
    records = [parse_record(line, "here") for line in lines]
    values = over(task_values("summarisation"), {"decoding": {"max_new_tokens": 6}})
    options = read(PlayOptions, {**values, "model": {"checkpoint": str(checkpoint)}, "layout": "summarisation"})
    given = Playground(options, [], records)
    assert given.fields == ["document", "focus"]
    (bias,) = parts_of(given, attn_bias={})
    assert bias.values["profile"] == "focus"
    said = given.answer(0, {}, [bias], 0)
    (row,) = [
        row for row in zsc.run(bias, model=str(checkpoint), dataset=records[:1], task="summarisation", quiet=True,
                               layout="summarisation", decoding={**values["decoding"]}, metrics=["length"], seeds=[0])
        .folder.rows() if row["setting"] != "off"
    ]  # fmt: skip
    assert said.on.text == row["response"]
    with pytest.raises(ZscError, match="record b has no focus"):
        given.answer(1, {}, [bias], 0)
    (whole,) = parts_of(given, attn_bias={"profile": "document"})
    assert given.answer(1, {"document": "Rain is <here>."}, [whole], 0).edited


def test_a_decoder_alone_is_played_as_well(tmp_path, tokenizer_folder):
    folder = save_causal(tmp_path, "llama", AutoTokenizer.from_pretrained(tokenizer_folder), "smollm2", 0)
    decoding = {"max_new_tokens": 6}
    options = read(PlayOptions, {"model": {"checkpoint": str(folder)}, "decoding": decoding, "examples": 1})
    given = Playground(options)
    scales = {one.name: one.scale for one in given.sections}
    assert scales["ctx_aug"].most == 1000 and "dec_mix" in given.lacking
    answer = given.answer(0, {}, parts_of(given, attn_bias={"strength": 30.0}, ctx_aug={}), 0)
    assert answer.attended.code > 0 and "Attention moved" in played(answer)
