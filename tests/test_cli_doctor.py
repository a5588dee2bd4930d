"""`zsc doctor`: a healthy installation, and each kind of trouble found and survived."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import pytest
import torch

from zsc import install
from zsc.cli.knobs import compose_knob
from zsc.cli.main import main
from zsc.knobs import KNOBS, AttentionBias
from zsc.models.options import ModelOptions
from zsc.study import doctor as checks
from zsc.study.knobs import build_settings, load_once
from zsc.study.options import KnobChoice, RunOptions


def doctor(capsys, *arguments):
    """Return the findings by check, all of one check in a list, and the exit status."""
    try:
        code = main(["doctor", "format=json", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    out = capsys.readouterr()
    found = {}
    for row in json.loads(out.out):
        found.setdefault(row["check"], []).append(row)
    return found, code, out.err


def test_a_healthy_installation(capsys, checkpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("ZSC_DATA", str(tmp_path))
    (tmp_path / "Topical-Chat").mkdir()
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=5")
    assert code == 0 and found["model"][0]["state"] == found["batches"][0]["state"] == "ok"
    assert [found[name][0]["state"] for name in ("steps", "source", "past")] == ["ok"] * 3
    for name, kind in KNOBS.items():
        (knob,) = found[f"knob {name}"]
        if kind.needs_other({}):  # the shipped other decoder is not this checkpoint's
            assert knob["state"] == "warn" and "knob.other.checkpoint" in knob["next"]
        else:
            assert knob["found"].startswith("identity exact; acts" if kind.dose else "acts")
    assert found["data topical_chat"][0]["found"].endswith("Topical-Chat")
    assert found["data wow_plus_plus"][0]["next"] == "git clone https://github.com/alexa/wow-plus-plus"


def test_lines_to_read(capsys, checkpoint):
    assert main(["doctor", f"model={checkpoint}", "decoding.max_new_tokens=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    python") and any(line.startswith("warn  knob dec_mix") for line in lines)


def test_a_model_that_cannot_be_loaded_fails_and_what_needs_it_is_skipped(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    found, code, err = doctor(capsys, f"model={tmp_path / 'empty'}")
    assert code == 2 and "1 of" in err and err.strip().endswith("checks failed: model.")
    assert found["model"][0]["state"] == "fail" and "holds no config.json" in found["model"][0]["found"]
    assert [found[name][0]["state"] for name in ("examples", "knobs", "batches")] == ["skip"] * 3
    assert "ZSC_DATA" in found


def test_data_that_is_not_there(capsys, checkpoint):
    found, code, _ = doctor(capsys, f"model={checkpoint}", "dataset=jsonl", "dataset.path=/no/file.jsonl")
    assert code == 2 and "no file /no/file.jsonl" in found["examples"][0]["found"]
    assert found["batches"][0]["state"] == "skip"


@dataclass(frozen=True)
class Leaky(AttentionBias):
    """A knob that changes logits at its neutral dose too, and leaves the model with other weights."""

    @contextmanager
    def apply(self, model, source):
        weight = model.get_decoder().layers[0].fc1.weight
        with torch.no_grad():
            weight += 1e-3
        with super().apply(model, source):
            yield


def test_a_knob_that_is_not_the_identity_or_leaves_traces(capsys, checkpoint, monkeypatch):
    monkeypatch.setitem(KNOBS, "attn_bias", Leaky)
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=2")
    assert code == 2
    broken, traces = found["knob attn_bias"]
    assert broken["state"] == "fail" and "is meant to change nothing and does" in broken["found"]
    assert traces["found"] == "left the model with other weights"


def test_weights_that_are_not_what_they_should_be(capsys, checkpoint, monkeypatch):
    monkeypatch.setattr("zsc.knobs.kinds.biased", lambda base, logs: base)
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=2")
    assert code == 2 and found["steps"][0]["state"] == "ok"
    assert found["source"][0]["found"].startswith("weights on the source do not give what repeating its states gives")
    assert found["past"][0]["found"].startswith("a weight of 0 on a token of the past does not give what hiding it")


def test_responses_that_depend_on_their_batch(capsys, checkpoint, monkeypatch):
    true = checks.generate

    def generate(reading, tokenizer, ids, *rest):
        (responses,) = true(reading, tokenizer, ids, *rest)
        responses = [one.__class__(f"{one.text} {len(ids)}", one.tokens, one.nll) for one in responses]
        return [responses]

    monkeypatch.setattr(checks, "generate", generate)
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=2")
    assert (
        code == 0 and found["batches"][0]["state"] == "warn" and "depends on its batch" in found["batches"][0]["found"]
    )


def test_packages_that_are_missing_or_too_old_and_checks_that_crash(monkeypatch):
    declared = {"": ["torch>=99", "no-such-package>=1", "numpy>=1"], "judges": ["absent-judge>=2", "numpy"]}
    monkeypatch.setattr(install, "_declared", lambda project, extra: declared.get(extra, []))
    monkeypatch.setattr(install, "find_spec", lambda name: True)  # pip is there
    monkeypatch.setitem(checks.CHECKS, "machine", lambda patient: 1 / 0)
    findings = []
    for finding in checks.examine(RunOptions(model=ModelOptions("/none")), {}):
        findings.append(finding)
    texts = {(finding.check, finding.state, finding.found) for finding in findings}
    assert ("package", "fail", f"torch is {version('torch')}") in texts
    assert ("package", "fail", "no-such-package is not installed") in texts
    assert ("extra judges", "warn", "absent-judge is not installed") in texts
    commands = [finding.next for finding in findings if finding.check in ("package", "extra judges")]
    wanted = ["'torch>=99'", "'no-such-package>=1'", "'absent-judge>=2'"]
    assert [line.split("pip install ")[1] for line in commands] == wanted
    assert ("machine", "fail", "ZeroDivisionError: division by zero") in texts


@pytest.mark.parametrize("name", [name for name, kind in KNOBS.items() if kind.dose])
def test_what_is_called_neutral_is(name, parlor):
    dose, model = KNOBS[name].dose, ModelOptions("mini", device="cpu")
    (shipped,) = compose_knob(f"knob={name}", RunOptions(model=model)).parts
    neutral = KnobChoice((shipped.replace(**{dose.field: dose.neutral}),))
    settings = build_settings([neutral], model, load_once(model)).settings
    assert [knob.neutral for knobs in settings.values() for knob in knobs] == [True]


@pytest.fixture
def only_knobs(monkeypatch):
    """Let the doctor look at nothing but knobs."""
    kept = {name: checks.CHECKS[name] for name in ("model", "examples", "knobs")}
    monkeypatch.setattr(checks, "CHECKS", kept)


def test_a_knob_that_is_lost_at_cached_steps(capsys, checkpoint, monkeypatch, only_knobs):
    monkeypatch.setattr("zsc.knobs.kinds.given_cache", lambda module, kwargs: None)
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=2")
    (knob,) = found["knob attn_bias"]
    assert code == 2 and knob["state"] == "fail" and knob["found"].startswith("attn_bias(gradual")
    assert "set decoding.use_cache=false" in knob["found"]
    found, code, _ = doctor(capsys, f"model={checkpoint}", "decoding.max_new_tokens=2", "decoding.use_cache=false")
    assert code == 0 and "acts, not tried with a cache (" in found["knob attn_bias"][0]["found"]


def test_every_knob_and_all_that_look_at_the_step_are_compared_with_a_cache(capsys, monkeypatch, only_knobs):
    true, tried = checks.probe_settings, []

    def probed(loaded, settings, source, cached):
        tried.extend((name, cached) for name in settings)
        return true(loaded, settings, source, cached)

    monkeypatch.setattr(checks, "probe_settings", probed)
    found, code, _ = doctor(capsys, "model=mini", "decoding.max_new_tokens=2")
    assert code == 0 and all(", with a cache as without (" in found[f"knob {name}"][0]["found"] for name in KNOBS)
    begun = (*KNOBS, "attn_bias(gradual", *(f"dec_mix({level}" for level in ("hidden", "cross_attention", "probs")))
    assert all(any(name.startswith(first) and cached for name, cached in tried) for first in begun)
