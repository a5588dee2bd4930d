"""The Python of docs/serving.md runs as it stands, and gives what the setting gives."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import transformers

import zsc
from tests.hub import local_hub
from zsc.study.exported import CARD, FILE

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(encoding="utf-8"), re.DOTALL)
ASKED = [
    {"history": [f"Have you seen {film}?"], "knowledge": f"{film} is a film of {year}."}
    for film, year in (("Jaws", 1975), ("Alien", 1979), ("Vertigo", 1958), ("Persona", 1966))
]


def block(part):
    (found,) = [text for text in BLOCKS if part in text]
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with one setting in the folder `exported`."""
    folder = tmp_path_factory.mktemp("served")
    run = zsc.run(
        "attn_bias", dataset=zsc.dataset("parlor", limit=2), seeds=[0], decoding={"max_new_tokens": 12}, quiet=True,
        metrics=["length"], resampling={"resamples": 20}, output=str(folder / "run"), cells=str(folder / "cells"),
    )  # fmt: skip
    return zsc.export(run, folder / "exported", quiet=True)


@pytest.fixture
def beside(exported, monkeypatch):
    """The setting, in the folder beside that of which the page's code runs."""
    monkeypatch.chdir(exported.folder.parent)
    return exported


def test_the_first_example(beside):
    names = {}
    exec(block("Martha's Vineyard"), names)
    given = dict(history=["Do you like old films?", "Some. Jaws, for one."])
    assert names["response"] == beside.generate(
        **given, knowledge="Jaws was filmed on the open sea, off Martha's Vineyard, in 1974."
    )


def test_the_web_service_answers_many_requests_at_once(beside):
    testing = pytest.importorskip("fastapi.testclient")
    pytest.importorskip("pydantic")
    names = {"__name__": "app"}
    exec(compile(block("FastAPI"), "app.py", "exec", dont_inherit=True), names)
    requests = [{**one, "seed": seed} for one in ASKED for seed in (0, 1)] + [{**ASKED[0], "id": "mine"}]
    expected = [beside.generate(**one) for one in requests]
    assert len(set(expected)) > len(ASKED)
    with testing.TestClient(names["app"]) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: client.post("/generate", json=one), requests))
        assert [one.status_code for one in answers] == [200] * len(requests)
        assert [one.json() for one in answers] == [{"response": one} for one in expected]
        refused = client.post("/generate", json={"history": ["Hello."]})
        assert refused.status_code == 422 and "has no knowledge" in refused.json()["detail"]


def test_the_pipeline_of_transformers(beside, capsys):
    names = {}
    exec(block(".pipeline("), names)
    first, second = (
        {"history": [f"Seen {film}?"], "knowledge": f"{film} is a film of {year}."}
        for film, year in (("Jaws", 1975), ("Alien", 1979))
    )
    expected = [{"generated_text": beside.generate(**one)} for one in (first, second)]
    assert names["answers"] == expected and capsys.readouterr().out == f"{expected[0]['generated_text']}\n"
    pipe = names["pipe"]
    assert isinstance(pipe, transformers.Pipeline) and pipe(second) == expected[1]
    assert list(pipe(iter_of(ASKED), batch_size=3)) == [{"generated_text": beside.generate(**one)} for one in ASKED]
    assert pipe(first, seed=1) == {"generated_text": beside.generate(**first, seed=1)}
    own = transformers.pipeline("zsc", model=beside.loaded.model, tokenizer=beside.loaded.tokenizer, setting=beside)
    assert own(first) == expected[0]
    with pytest.raises(ValueError, match="temperature is no option here"):
        pipe(first, temperature=0.1)
    with pytest.raises(zsc.ZscError, match="has no knowledge"):
        pipe({"history": ["Hello."]})


def iter_of(records):
    yield from records


def test_a_setting_is_pushed_to_a_hub_and_loaded_from_it(beside, tmp_path, monkeypatch):
    given = dict(history=["Seen Jaws?"], knowledge="Jaws is a film of 1975.")
    script = block("setting.push") + f"print(again.generate(**{given!r}), again.folder, sep='\\n')\n"
    with local_hub() as (address, repos):
        own = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_own",
               "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, **own}, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stderr
    said, place = done.stdout.splitlines()
    assert said == beside.generate(**given) and tmp_path in Path(place).parents
    assert set(repos) == {"me/jaws"} and set(repos["me/jaws"]) == {FILE, CARD}
    assert json.loads(repos["me/jaws"][FILE])["setting"] == beside.name
    assert b'zsc.load("me/jaws")' in repos["me/jaws"][CARD]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert zsc.load("me/jaws").generate(**given) == said  # from the cache, the hub being gone
    with pytest.raises(zsc.ZscError, match="setting 'me/other' is neither a folder nor in the cache"):
        zsc.load("me/other")
    with pytest.raises(zsc.ZscError, match=r"holds no zsc_setting\.json"):
        zsc.load(tmp_path)
    with pytest.raises(zsc.ZscError, match="could not be pushed to me/jaws"):
        beside.push("me/jaws")
