"""Exported settings give the responses of their runs, byte for byte, whatever the knob, the model and the thread."""

import json
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from transformers import AutoTokenizer

import zsc
from tests.causal_checkpoints import save_causal
from zsc.data.embedded import load_parlor
from zsc.study.exported import CARD, FILE
from zsc.study.gates import Gate

QUICK = dict(metrics=["length", "knowledge_precision"], quiet=True, resampling={"resamples": 20})
PHRASES = ["Who was it?", "Why is that?", "Where did that happen?", "How do you know?"]
RECORDS = load_parlor()[:4]
WAIT = 60  # seconds after which a deadlock becomes a failure


def choices(phrases):
    """Every knob, in ways that need a tokenizer, phrases, a second model, other weights, or several knobs."""
    augmented = zsc.knob("ctx_aug", phrases=phrases, count=3, seed=1, strength=4)
    return [
        zsc.knob("attn_bias", strength=[2, 5]),
        zsc.knob("attn_bias", profile="text:the|was", layers=[[0, 1]]),
        zsc.knob("attn_bias", profile="gradual", steps=6),
        augmented,
        zsc.knob("self_attn_bias", strength=3),
        zsc.knob("dec_mix", level=["probs", "weights"], weight=0.4),
        zsc.knob("swap", by="averaged"),
        [zsc.knob("attn_bias", strength=3), augmented],
    ]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A finished run of every knob, whose file of phrases is there no more, and its stored responses."""
    folder = tmp_path_factory.mktemp("swept")
    phrases = folder / "own.txt"
    phrases.write_text("\n".join(PHRASES))
    made = zsc.sweep(
        *choices(str(phrases)), dataset=RECORDS, seeds=[0, 3], decoding={"max_new_tokens": 10},
        output=str(folder / "run"), cells=str(folder / "cells"), **QUICK,
    )  # fmt: skip
    return made, phrases


@pytest.fixture(scope="module")
def settings(swept, tmp_path_factory):
    """Every setting of the run, exported and loaded again without the phrases' file."""
    run, phrases = swept
    folder = tmp_path_factory.mktemp("settings")
    names = list(dict.fromkeys(run.responses.setting))
    for place, name in enumerate(names):
        zsc.export(run, folder / str(place), setting=name, quiet=True)
    kept = phrases.read_text()
    phrases.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield {name: zsc.load(folder / str(place)) for place, name in enumerate(names)}
    phrases.write_text(kept)


def stored(run, name, seed=0):
    found = {(row["setting"], row["seed"], row["id"]): row["response"] for row in run.folder.rows()}
    return [found[name, seed, record.id] for record in RECORDS]


def asked(record):
    """A record as a caller writes it."""
    return {"history": [vars(turn) for turn in record.history], "knowledge": record.knowledge, "id": record.id}


def test_every_setting_gives_the_responses_of_the_run(swept, settings):
    run, _ = swept
    assert len(settings) == 11
    for name, setting in settings.items():
        for seed in (0, 3):
            assert setting.generate_many(RECORDS, seed=seed) == stored(run, name, seed), name
        assert setting.generate(**asked(RECORDS[1])) == stored(run, name)[1], name
    assert len({(*stored(run, name), *stored(run, name, 3)) for name in settings}) == len(settings)


def test_threads_share_a_model_under_all_settings_at_once(swept, settings):
    run, _ = swept
    expected = {(name, seed): stored(run, name, seed) for name in settings for seed in (0, 3)}
    work = [(name, seed, place) for place, seed in ((0, 0), (1, 3), (2, 0), (3, 3)) for name in settings]
    fresh = {name: zsc.load(setting.folder) for name, setting in settings.items()}  # whose first call is in a thread
    assert len({id(setting.loaded.model) for setting in fresh.values()}) == 1

    def answer(one):
        name, seed, place = one
        return fresh[name].generate(**asked(RECORDS[place]), seed=seed)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(answer, work, timeout=10 * WAIT))
    assert made == [expected[name, seed][place] for name, seed, place in work]


def test_a_gate_lets_one_in_alone_and_others_together():
    gate, inside, seen = Gate(), [], []

    def use(alone):
        with gate.alone() if alone else gate.shared():
            inside.append(alone)
            seen.append(list(inside))
            inside.remove(alone)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, [place % 5 == 0 for place in range(400)], timeout=WAIT))
    assert len(seen) == 400 and all(found == [True] for found in seen if True in found)
    with ThreadPoolExecutor(1) as pool, gate.shared():
        pool.submit(use, False).result(WAIT)
        waiting = pool.submit(use, True)
        assert not waiting.done()
    waiting.result(WAIT)


def test_the_id_decides_the_sample_and_by_default_the_texts_do(settings):
    setting = settings["attn_bias(knowledge, 5)"]
    history, knowledge = ["Seen anything good?", "Jaws."], "Jaws was filmed at sea in 1974."
    first = setting.generate(history, knowledge)
    spoken = [{"speaker": who, "text": text} for who, text in zip("AB", history, strict=True)]
    assert first == setting.generate(spoken, f"  {knowledge} ") == setting.generate_many(
        [{"history": tuple(history), "knowledge": knowledge, "reference": "Yes."}]
    )[0]  # fmt: skip
    others = {setting.generate(history, knowledge, id=str(number)) for number in range(4)}
    others |= {setting.generate(history, knowledge, seed=seed) for seed in (1, 2)}
    assert len(others | {first}) > 3
    assert setting.generate_many([]) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (dict(history=["Hello."]), "has no knowledge, which attn_bias(knowledge, 5) is to bias towards"),
        (dict(), "has neither knowledge nor history that the model could read"),
        (dict(history=["Hello."], knowledge="A fact.", temperature=0.2), "temperature=0.2 is no text of a record"),
        (dict(history=["Hello."], knowledge="A fact.", seed=-1), "seed=-1 must be a whole number of at least 0"),
        (dict(history=[3], knowledge="A fact."), "field 'history[0]' must be an object"),
    ],
)
def test_what_cannot_be_answered_is_refused(settings, given, says):
    setting = settings["attn_bias(knowledge, 5)"]
    with pytest.raises(zsc.ZscError) as refused:
        setting.generate(**given)
    assert says in str(refused.value)
    assert setting.generate(**asked(RECORDS[0]))  # goes on


def test_the_file_says_all_that_decides_and_the_page_what_was_measured(swept, settings):
    run, phrases = swept
    name = "attn_bias(knowledge, 3)+ctx_aug(own, 4, K=3, seed 1)"
    folder = settings[name].folder
    content = json.loads((folder / FILE).read_text())
    assert content["setting"] == name and content["format"] == 1
    assert content["knobs"][0]["strength"] == 3 and content["knobs"][1]["phrases"] == PHRASES
    assert str(phrases) not in (folder / FILE).read_text()
    assert content["model"]["checkpoint"] == "mini" and content["seeds"] == [0, 3]
    assert content["decoding"]["max_new_tokens"] == 10 and content["layout"]["form"] == "buckets"
    mixed = json.loads((settings["dec_mix(probs, 0.4)"].folder / FILE).read_text())["knobs"][0]["other"]
    assert mixed["decoder"] == "denoiser.safetensors" and mixed["fingerprint"] != content["model"]["fingerprint"]
    page = (folder / CARD).read_text()
    table = run.table.set_index(["setting", "metric"]).value
    for metric in ("knowledge_precision", "length"):
        off, on = table["off", metric], table[name, metric]
        digits = 3 if metric == "knowledge_precision" else 1
        assert off < 10 and f"| {metric} | {off:.3f} | {on:.{digits if on >= 10 else 3}f} |" in page
    (block,) = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    names = {}
    exec(block.replace('"FOLDER"', repr(str(folder))).replace("print(", "said = ("), names)
    assert names["said"] == settings[name].generate(["Seen anything good?"], "Jaws is a film of 1975.")


@pytest.fixture
def one(swept, tmp_path):
    """A folder with one setting of the run."""
    zsc.export(swept[0], tmp_path / "one", setting="attn_bias(knowledge, 5)", quiet=True)
    return tmp_path / "one"


def change(folder, **values):
    content = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**content, **values}))


def test_other_weights_are_refused_wherever_they_lie(one, checkpoints, tmp_path):
    with pytest.raises(zsc.ZscError, match=r"has other weights.* instead of .*zsc\.load\(FOLDER, model=PATH\)"):
        zsc.load(one, model=checkpoints["bart"])
    with pytest.raises(zsc.ZscError, match=r"nowhere.*zsc\.load\(FOLDER, model=PATH\)"):
        zsc.load(one, model=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (dict(format=2), "has the format 2, and this zsc reads 1 alone"),
        (dict(layout={"form": "auto"}), "not settled"),
        (dict(setting="attn_bias(knowledge, 6)"), "its knobs are attn_bias(knowledge, 5)"),
        (dict(knobs=[{"knob": "attn_bias", "power": 3}]), "knob attn_bias of this version of zsc has no 'power'"),
        (dict(knobs=[{"knob": "turbo"}]), "no knob 'turbo'"),
        (dict(decoding={"temperature": -1}), "decoding.temperature=-1 is out of range"),
        (dict(extra=1), "no option 'extra'"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(one, values, says):
    change(one, **values)
    with pytest.raises(zsc.ZscError) as refused:
        zsc.load(one)
    assert says in str(refused.value)
    (one / FILE).write_text("[]")
    with pytest.raises(zsc.ZscError, match="is no exported setting"):
        zsc.load(one)


def test_other_versions_code_and_devices_are_said(one):
    versions = json.loads((one / FILE).read_text())["versions"]
    change(one, versions={**versions, "torch": "1.0"}, code="0" * 64, device="cuda")
    with pytest.warns(UserWarning) as found:
        zsc.load(one)
    (message,) = [str(each.message) for each in found]
    for part in ("torch 1.0 in place of", "other code of zsc", "a device cuda in place of cpu"):
        assert part in message


def test_the_weights_can_go_along(swept, tmp_path, checkpoints):
    run, _ = swept
    for name, parts in {"off": {"model"}, "dec_mix(weights, 0.4)": {"model", "other"}}.items():
        folder = tmp_path / name[:3]
        zsc.export(run, folder, setting=name, weights=True, quiet=True)
        assert {path.name for path in folder.iterdir()} == {FILE, CARD, *parts}
        content = json.loads((folder / FILE).read_text())
        content["model"]["checkpoint"] = "gone"
        for knob in content["knobs"]:
            knob["other"]["checkpoint"] = "gone too"
        (folder / FILE).write_text(json.dumps(content))
        assert zsc.load(folder).generate_many(RECORDS) == stored(run, name)


def test_what_cannot_be_exported(swept, tmp_path, one):
    run, phrases = swept
    listed = r"has 10 settings with knobs: say which, setting='NAME'.*off; attn_bias\(knowledge, 2\); "
    with pytest.raises(zsc.ZscError, match=listed):
        zsc.export(run, tmp_path / "new", quiet=True)
    with pytest.raises(zsc.ZscError, match=r"none of this run\. Did you mean 'attn_bias\(knowledge, 5\)'"):
        zsc.export(run, tmp_path / "new", setting="attn_bias(knowledge, 55)", quiet=True)
    with pytest.raises(zsc.ZscError, match="is not the folder of a run"):
        zsc.export(tmp_path, tmp_path / "new", quiet=True)
    with pytest.raises(zsc.ZscError, match=r"holds attn_bias\(knowledge, 5\) of another run"):
        zsc.export(run, one, setting="off", quiet=True)
    zsc.export(run, one, setting="attn_bias(knowledge, 5)", quiet=True)  # the same again
    (one / FILE).unlink()
    with pytest.raises(zsc.ZscError, match=r"holds something else, and no zsc_setting\.json"):
        zsc.export(run, one, setting="attn_bias(knowledge, 5)", quiet=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(zsc.ZscError, match="symbolic link"):
        zsc.export(run, tmp_path / "link", setting="off", quiet=True)
    kept = phrases.read_text() if phrases.exists() else "\n".join(PHRASES)
    phrases.write_text("\n".join(reversed(PHRASES)))
    with pytest.raises(zsc.ZscError, match="control phrases or the second model of ctx_aug are not those of the run"):
        zsc.export(run, tmp_path / "new", setting="ctx_aug(own, 4, K=3, seed 1)", quiet=True)
    phrases.unlink()
    with pytest.raises(zsc.ZscError, match="are neither a set nor a text file"):
        zsc.export(run, tmp_path / "new", setting="ctx_aug(own, 4, K=3, seed 1)", quiet=True)
    phrases.write_text(kept)
    assert not (tmp_path / "new").exists()


def test_the_command_takes_the_only_setting(command, checkpoints, tmp_path):
    """Here of an encoder-decoder in a template, with beams, whose weights are then replaced."""
    shutil.copytree(checkpoints["t5"], tmp_path / "my model")
    words = ["run", "task=summarisation", "model=my model", "knob=attn_bias", "knob.profile=knowledge",
             "layout=template", "layout.text=say {knowledge}: {history}", "dataset.limit=4", "seeds=[0]",
             "decoding.max_new_tokens=6", "metrics=[length]", "resampling.resamples=20", "output=my run"]  # fmt: skip
    assert command(*words)[0] == 0
    status, out, err = command("export", "my run", "to=my setting")
    assert status == 0 and "zsc.load('my setting')" in out
    assert "checked: 4 responses of the run made again, byte for byte" in err
    setting = zsc.load("my setting")
    assert setting.decoding.num_beams > 1 and setting.layout.text == "say {knowledge}: {history}"
    lines = [json.loads(line) for line in (tmp_path / "my run" / "generations.jsonl").read_text().splitlines()]
    records = [json.loads(line) for line in (tmp_path / "my run" / "records.jsonl").read_text().splitlines()]
    expected = {line["id"]: line["response"] for line in lines if line["setting"] == setting.name}
    assert setting.generate_many(records) == [expected[record["id"]] for record in records]
    shutil.copy(checkpoints["bart"] / "tokenizer.json", tmp_path / "my model" / "extra.json")
    status, _, err = command("export", "my run", "to=other")
    assert status == 2 and "is not what my run was made with" in err and not (tmp_path / "other").exists()
    with pytest.raises(zsc.ZscError, match="has other weights"):
        zsc.load("my setting")
    assert zsc.load("my setting", model=checkpoints["t5"]).name == setting.name
    assert command("export")[0] == 2 and "zsc export RUN to=FOLDER" in command("export")[2]
    assert "to has no value" in command("export", "my run")[2]


def test_a_decoder_alone_with_its_chat_template(tokenizer_folder, tmp_path):
    model = save_causal(tmp_path / "llama", "llama", AutoTokenizer.from_pretrained(tokenizer_folder), "smollm2")
    augmented = zsc.knob("ctx_aug", phrases="questions", strength=200)
    run = zsc.sweep(
        "attn_bias", augmented, zsc.knob("swap", by="shuffled"), model=str(model), dataset=RECORDS, seeds=[0],
        decoding={"max_new_tokens": 8}, output=str(tmp_path / "run"), cells=str(tmp_path / "cells"), **QUICK,
    )  # fmt: skip
    made = {}
    for place, name in enumerate(dict.fromkeys(run.responses.setting)):
        made[name] = zsc.export(run, tmp_path / str(place), setting=name, quiet=True)
        assert made[name].layout.form == "chat"
        assert made[name].generate_many(RECORDS) == stored(run, name), name
    work = [(name, place) for place in range(len(RECORDS)) for name in made]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda one: made[one[0]].generate(**asked(RECORDS[one[1]])), work, timeout=WAIT * 5))
    assert said == [stored(run, name)[place] for name, place in work]
