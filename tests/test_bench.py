"""`zsc bench`: every way gets the same examples and options, times are taken in turn, ratios are of what they say."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.causal_checkpoints import save_causal
from zsc import install
from zsc.data.options import DatasetOptions
from zsc.generation.decoding import Decoding
from zsc.generation.fill import Filler
from zsc.models.load import load_model
from zsc.models.options import ModelOptions
from zsc.study import bench_converted, bench_speed
from zsc.study.bench_converted import Converted, NotConvertible, check_same, converted, prompts_of, told
from zsc.study.bench_ways import Measured, ours, plain
from zsc.study.experiment import prepare
from zsc.study.options import BenchOptions, KnobChoice, KnobOptions
from zsc.study.timing import Ratios, Seconds, ratios
from zsc.study.watch import Silent

NEEDS = "needs ctranslate2, of the extra bench"
QUICK = ["dataset.limit=6", "batch_size=4", "decoding.max_new_tokens=8", "model.device=cpu"]
WAYS = ["sweep", "one", "plain", "ctranslate2"]


def options(checkpoint, strengths=(2, 5, 9), limit=6, **changes):
    knob = KnobChoice((KnobOptions("attn_bias", {"strength": list(strengths), "profile": "knowledge"}),))
    return BenchOptions(
        model=ModelOptions(str(checkpoint), None, "cpu"),
        dataset=DatasetOptions(limit=limit),
        knob=knob,
        **{"decoding": Decoding(max_new_tokens=8), "batch_size": 4, "seeds": (0, 1), **changes},
    )


@pytest.fixture(scope="module")
def causal(tmp_path_factory, tokenizer_folder):
    """A folder with a tiny decoder alone that chats."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    return save_causal(tmp_path_factory.mktemp("causal"), "llama", tokenizer, "smollm2")


class Engine:
    """Stands for one of ctranslate2: notes what it is told, and says the same three tokens to everyone."""

    def __init__(self, tokens):
        self.tokens, self.told = tokens, []

    def translate_batch(self, prompts, **options):
        self.told.append((prompts, options))
        return [type("Result", (), {"hypotheses": [self.tokens]}) for _ in prompts]


def noted(monkeypatch, model):
    """Note what the library's own ``generate`` is called with."""
    calls, true = [], model.generate
    monkeypatch.setattr(model, "generate", lambda **given: (calls.append(given), true(**given))[1])
    return calls


def test_ratios_by_hand():
    assert ratios([1, 2, 6], [2, 2, 2]) == Ratios(1, 0.5, 3)
    measured = {
        "one": [Measured(Seconds(4, 2), 2, 10), Measured(Seconds(8, 6), 2, 10)],
        "plain": [Measured(Seconds(2, 1), 1, 10), Measured(Seconds(2, 1), 1, 10)],
    }
    cpu, wall, *others = bench_speed.rows(measured, ["plain", "ctranslate2"])
    assert [row["way"] for row in others] == ["plain", "plain"]
    assert cpu == {
        "way": "one", "time": "CPU", "ms each": 2000.0, "tokens each": 5.0,
        "/plain": 2.0, "/plain min": 1.0, "/plain max": 3.0, "/plain a token": 4.0,
        "/ctranslate2": None, "/ctranslate2 min": None, "/ctranslate2 max": None, "/ctranslate2 a token": None,
        "responses": 2, "repeats": 2,
    }  # fmt: skip
    assert wall["/plain"] == 1.5 and wall["/plain a token"] == 3.0 and wall["ms each"] == 3000.0
    assert [*bench_speed.rows(measured, ["plain"])[0]] == [name for name in cpu if "ctranslate2" not in name]


def test_ways_are_warmed_and_taken_in_turn(checkpoint, monkeypatch):
    calls = []

    def way(name):
        def run(experiment, places=()):
            calls.append((name, len(experiment.records), len(places)))
            return Measured(Seconds(1, 1), len(experiment.records), 8 * len(experiment.records))

        return run

    monkeypatch.setattr(bench_speed, "ours", way("ours"))
    monkeypatch.setattr(bench_speed, "plain", way("plain"))
    monkeypatch.setattr(bench_speed, "check_ctranslate2", lambda: None)
    monkeypatch.setattr(bench_speed, "version", lambda name: "0")
    monkeypatch.setattr(bench_speed, "converted", lambda *_: type("Engine", (), {"measured": staticmethod(way("ct2"))}))
    rows = bench_speed.bench_speed(options(checkpoint, repeats=3), Silent())
    turn = [("ours", 6), ("ours", 1), ("plain", 0), ("ct2", 0)]
    expected = [*((name, 4, count) for name, count in turn)]  # four examples before times are taken
    for order in (turn, turn[::-1], turn):
        expected += [(name, 6, count) for name, count in order]
    assert calls == expected
    assert [row["way"] for row in rows] == [name for name in WAYS for _ in range(2)]
    assert rows[0]["of"] == "settings: 3, seeds: 2" and rows[2]["of"] == "attn_bias(knowledge, 5), seed 0"


@pytest.mark.parametrize("kind", ["bart", "causal"])
def test_the_library_is_called_as_its_users_call_it(kind, checkpoint, causal, monkeypatch):
    decoding = Decoding(
        max_new_tokens=8, min_new_tokens=2, temperature=0.6, top_p=0.8, top_k=50, repetition_penalty=1.2
    )
    experiment = prepare(options(checkpoint if kind == "bart" else causal, decoding=decoding))
    calls = noted(monkeypatch, experiment.loaded.model)
    measured = plain(experiment)
    assert [len(call["input_ids"]) for call in calls] == [4, 2]
    own, _ = experiment.format.lay_out(experiment.records, experiment.loaded)
    for call, rows in zip(calls, ([0, 1, 2, 3], [4, 5]), strict=True):
        assert torch.equal(call["input_ids"], own.batch(rows).input_ids)
        assert torch.equal(call["attention_mask"], own.batch(rows).attention_mask)
        config = call["generation_config"]
        said = (config.do_sample, config.temperature, config.top_p, config.top_k, config.repetition_penalty)
        assert said == (True, 0.6, 0.8, 50, 1.2)
        assert (config.min_new_tokens, config.max_new_tokens, config.num_beams) == (2, 8, 1)
    assert measured.responses == 6 and 12 <= measured.tokens <= 48
    assert measured.seconds.cpu > 0 and plain(experiment).tokens == measured.tokens  # drawn from the seed


@pytest.mark.parametrize("kind", ["bart", "causal"])
def test_ours_and_the_library_make_as_many_tokens_of_the_same_greedy_responses(kind, checkpoint, causal):
    decoding = Decoding(sample=False, max_new_tokens=8, repetition_penalty=1.0)
    experiment = prepare(options(checkpoint if kind == "bart" else causal, decoding=decoding))
    assert ours(experiment, [("off", 0)]).tokens == plain(experiment).tokens


def test_a_sweep_fills_every_setting_and_seed_and_one_a_single_cell(checkpoint, monkeypatch):
    filled, true = [], Filler.fill
    monkeypatch.setattr(Filler, "fill", lambda self, tasks: (filled.append((self, list(tasks))), true(self, tasks))[1])
    experiment = prepare(options(checkpoint))
    monkeypatch.setattr(bench_speed, "check_ctranslate2", missing)
    ways, against = bench_speed.ways_of(experiment, Silent())
    assert against == ["plain"] and [*ways] == WAYS[:3]
    sweep, one = ways["sweep"].run(experiment), ways["one"].run(experiment)
    (first, many), (_, single) = filled
    names = [name for name, knobs in experiment.built.settings.items() if knobs]
    assert [(str(task.job.knobs[0]), task.job.seed) for task in many] == [(n, seed) for seed in (0, 1) for n in names]
    assert [str(task.job.knobs[0]) for task in single] == [names[1]]
    assert first.decoding == experiment.format.decoding and first.decoding.min_new_tokens == 1  # natural ends
    assert all(list(task.cell.ids) == [record.id for record in experiment.records] for task in many)
    assert sweep.responses == 36 and one.responses == 6


@pytest.mark.parametrize("kind", ["bart", "causal"])
def test_forced_lengths_are_those_of_every_way(kind, checkpoint, causal, monkeypatch):
    decoding = Decoding(min_new_tokens=8, max_new_tokens=8)
    experiment = prepare(options(checkpoint if kind == "bart" else causal, decoding=decoding))
    ways, _ = bench_speed.ways_of(experiment, Silent())
    assert {name: way.run(experiment).tokens / 8 for name, way in ways.items()} == (
        {"sweep": 36, "one": 6, "plain": 6} | ({"ctranslate2": 6} if "ctranslate2" in ways else {})
    )


def test_the_other_engine_gets_the_same_sources_and_options(checkpoint, monkeypatch):
    decoding = Decoding(
        max_new_tokens=9, min_new_tokens=3, temperature=0.6, top_p=0.8, top_k=50, repetition_penalty=1.2
    )
    experiment = prepare(options(checkpoint, decoding=decoding))
    calls = noted(monkeypatch, experiment.loaded.model)
    plain(experiment)
    tokenizer = experiment.loaded.tokenizer
    engine = Engine([tokenizer.convert_ids_to_tokens(one) for one in (7, 8)] + ["</s>"])
    monkeypatch.setitem(sys.modules, "ctranslate2", type("Module", (), {"set_random_seed": int}))
    measured = Converted(engine, experiment.loaded, decoding).measured(experiment)
    assert (measured.responses, measured.tokens) == (6, 18)
    ((prompts, given),) = engine.told
    read = [
        [tokenizer.convert_ids_to_tokens(int(one)) for one, kept in zip(ids, mask, strict=True) if kept]
        for call in calls
        for ids, mask in zip(call["input_ids"], call["attention_mask"], strict=True)
    ]
    assert prompts == read and tokenizer.pad_token not in {token for prompt in prompts for token in prompt}
    assert (given["min_decoding_length"], given["max_decoding_length"], given["max_batch_size"]) == (3, 9, 4)
    assert (given["sampling_topp"], given["sampling_topk"], given["sampling_temperature"]) == (0.8, 50, 0.6)
    assert given["repetition_penalty"] == 1.2 and given["end_token"] == [tokenizer.eos_token_id]
    assert told(replace(decoding, sample=False))["sampling_topk"] == 1


def test_a_forced_first_token_is_said_for_the_other_engine_and_not_counted(checkpoint):
    decoding = Decoding(max_new_tokens=9, forced_first=7)
    experiment = prepare(options(checkpoint, decoding=decoding))
    tokenizer = experiment.loaded.tokenizer
    engine = Engine([tokenizer.convert_ids_to_tokens(one) for one in (7, 8)])
    assert Converted(engine, experiment.loaded, decoding).respond([["a"], ["b"]], 2) == [[8], [8]]
    assert engine.told[0][1]["target_prefix"] == [[tokenizer.convert_ids_to_tokens(7)]] * 2


def missing():
    raise bench_speed.ZscError("it is missing")


def lines_of(monkeypatch, experiment):
    said = []
    watch = Silent()
    monkeypatch.setattr(watch, "say", said.append)
    return bench_speed.ways_of(experiment, watch), said


def test_without_the_other_engine_a_line_says_how_to_install_it(checkpoint, monkeypatch):
    monkeypatch.setattr(install, "problem", lambda one: f"{one.name} is not installed")
    (ways, against), said = lines_of(monkeypatch, prepare(options(checkpoint)))
    assert against == ["plain"] and "ctranslate2" not in ways
    assert len(said) == 1 and "ctranslate2==4.8.5, and ctranslate2 is not installed. Run: " in said[0]


def test_a_model_that_cannot_be_converted_leaves_its_columns_empty(checkpoint, monkeypatch):
    monkeypatch.setattr(bench_speed, "check_ctranslate2", lambda: None)
    experiment = prepare(options(checkpoint, decoding=Decoding(max_new_tokens=8, encoder_no_repeat_ngram_size=3)))
    monkeypatch.setitem(sys.modules, "ctranslate2", type("Module", (), {}))
    monkeypatch.setitem(sys.modules, "ctranslate2.converters", type("Module", (), {"TransformersConverter": None}))
    (ways, against), said = lines_of(monkeypatch, experiment)
    assert against == ["plain", "ctranslate2"] and "ctranslate2" not in ways
    assert said == [
        "left out: CTranslate2 does not take this model (it has no decoding.encoder_no_repeat_ngram_size=3)"
    ]


def test_what_only_ours_can_do_is_not_compared(checkpoint):
    loaded = prepare(options(checkpoint)).loaded
    check_same(loaded, Decoding(max_new_tokens=3, top_k=4, num_beams=2, sample=False))
    for changes in ({"stop": "\n"}, {"use_cache": False}, {"suppress_tokens": (3,)}, {"forced_last": 2}):
        with pytest.raises(NotConvertible, match=rf"it has no decoding\.{next(iter(changes))}="):
            check_same(loaded, Decoding(**changes))
    with pytest.raises(NotConvertible, match=r"it has no torch\.float64 on cpu"):
        check_same(load_model(str(checkpoint), device="cpu", dtype="float64"), Decoding())


@pytest.mark.parametrize("kind", ["mini", "bart"])
def test_converted_weights_say_the_same(kind, checkpoint):
    pytest.importorskip("ctranslate2", reason=NEEDS)
    decoding = Decoding(sample=False, max_new_tokens=24)
    experiment = prepare(options("mini" if kind == "mini" else checkpoint, decoding=decoding, limit=8))
    tokenizer, model = experiment.loaded.tokenizer, experiment.loaded.model
    prompts = prompts_of(experiment)
    said = converted(experiment.loaded, experiment.format.decoding).respond(prompts, 3)
    for prompt, ids in zip(prompts, said, strict=True):
        read = torch.tensor([tokenizer.convert_tokens_to_ids(prompt)])
        own = model.generate(input_ids=read, do_sample=False, num_beams=1, min_new_tokens=1, max_new_tokens=24)
        assert ids == own[0, 1:].tolist()


def test_a_converted_decoder_alone_says_the_same(causal):
    pytest.importorskip("ctranslate2", reason=NEEDS)
    experiment = prepare(options(causal, decoding=Decoding(sample=False, max_new_tokens=8)))
    prompts = prompts_of(experiment)
    said = converted(experiment.loaded, experiment.format.decoding).respond(prompts, 3)
    model = AutoModelForCausalLM.from_pretrained(causal).eval()
    end = experiment.loaded.model.generation_config.eos_token_id
    for prompt, ids in zip(prompts, said, strict=True):
        read = torch.tensor([experiment.loaded.tokenizer.convert_tokens_to_ids(prompt)])
        own = model.generate(
            input_ids=read, do_sample=False, min_new_tokens=1, max_new_tokens=8, eos_token_id=end, pad_token_id=end
        )
        assert ids == own[0, read.shape[1] :].tolist()


def test_what_the_converter_does_not_know_is_said(checkpoints, monkeypatch):
    pytest.importorskip("ctranslate2", reason=NEEDS)
    from ctranslate2.converters import transformers as converters

    monkeypatch.delitem(converters._MODEL_LOADERS, "BartConfig")
    experiment = prepare(options(checkpoints["bart"]))
    (ways, _), said = lines_of(monkeypatch, experiment)
    assert "ctranslate2" not in ways and "No conversion is registered for the model configuration BartConfig" in said[0]


def test_bench_prints_rows_of_every_way(command, checkpoint, monkeypatch):
    monkeypatch.setattr(bench_converted, "check_installed", lambda *_: missing())
    common = [f"model={checkpoint}", *QUICK, "repeats=2", "format=json"]
    status, out, err = command("bench", "knob=attn_bias", "knob.strength=[2,5]", "seeds=[0,1]", *common)
    rows = json.loads(out)
    assert status == 0 and "left out: it is missing" in err
    assert [(row["way"], row["time"], row["responses"]) for row in rows] == [
        (way, time, count)
        for way, count in (("sweep", 24), ("one", 6), ("plain", 6))
        for time in ("CPU", "wall")
    ]  # fmt: skip
    for row in rows:
        assert 0 < row["/plain min"] <= row["/plain"] <= row["/plain max"] and 1 <= row["tokens each"] <= 8
    assert {row["/plain"] for row in rows[4:]} == {1.0} and rows[0]["peak MB so far"] > 100
    status, out, _ = command("bench", "knob=attn_bias", *common)
    assert status == 0 and [row["way"] for row in json.loads(out)] == ["one", "one", "plain", "plain"]


def test_the_cost_of_a_knob_is_that_of_responses_of_one_length(command, checkpoint):
    words = ["bench", "measure=cost", f"model={checkpoint}", *QUICK, "repeats=2", "format=json"]
    status, out, _ = command(*words, "knob=attn_bias", "knob.strength=[2,5]")
    rows = json.loads(out)
    assert status == 0 and [row["knob"] for row in rows] == ["attn_bias(knowledge, 2)", "attn_bias(knowledge, 5)"]
    for row in rows:
        assert 0 < row["min"] <= row["on/off median"] <= row["max"]
        assert 0 < row["CPU min"] <= row["CPU on/off median"] <= row["CPU max"]
        assert (row["responses"], row["tokens each"], row["extra positions"]) == (4, 8, 0)
    (row,) = json.loads(command(*words, "knob=ctx_aug")[1])
    assert row["extra positions"] > 0
