"""Several jobs: one that fails stops no other, what failed is listed, and launchers need no exceptions for it."""

import json
import pickle
import sys
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from zsc.cli.hydra import Job
from zsc.cli.outcomes import Outcomes, new_folder
from zsc.configs import CONFIGS
from zsc.errors import INTERRUPTED, ZscError

DONE: list[float] = []


def acting(cfg):
    """Stands for a command: fails as its strength says."""
    strength = cfg.knob.strength
    print(f"strength {strength}")
    if strength == 2:
        raise ZscError("no such\nthing")
    if strength == 3:
        raise RuntimeError("a fault \x1b[31m")
    if strength == 4:
        raise ZscError("interrupted: 3 of 9 responses are kept.", INTERRUPTED)
    DONE.append(strength)


@pytest.fixture
def jobs(monkeypatch):
    DONE.clear()
    monkeypatch.setattr("zsc.cli.run.run", acting)


MULTI = ["run", "knob=attn_bias", "-m"]


def test_a_bad_job_stops_no_other_and_is_listed(command, jobs):
    code, out, err = command(*MULTI, "knob.strength=1,2,5", "topic=a b")
    assert code == 2 and DONE == [1, 5]
    assert out.splitlines() == ["strength 1", "strength 2", "strength 5"]
    first, last = err.splitlines()
    assert first == "job 1 failed: knob=attn_bias knob.strength=2 'topic=a b': no such\\nthing"
    assert last.startswith("zsc: 1 of 3 jobs failed, as listed above")


def test_a_fault_is_told_from_bad_input(command, jobs):
    code, _, err = command(*MULTI, "knob.strength=3,2,7")
    assert code == 1 and DONE == [7]
    assert "Traceback" in err and "job 0 failed" in err and "job 1 failed" in err and "\x1b" not in err


def test_an_interrupt_stops_them_all(command, jobs):
    code, _, err = command(*MULTI, "knob.strength=1,2,4,5")
    assert code == 130 and DONE == [1]
    assert "job 1 failed" in err and err.splitlines()[-1] == "zsc: interrupted: 3 of 9 responses are kept."


def test_all_good_is_0_and_two_multiruns_have_folders_of_their_own(command, jobs):
    for _ in range(2):
        assert command(*MULTI, "knob.strength=1,5")[::2] == (0, "")
    folders = list(Path("runs/.multirun").iterdir())
    assert len(folders) == 2 and all((folder / "multirun.yaml").is_file() for folder in folders)
    assert new_folder() != new_folder()


def test_a_job_by_itself_keeps_its_status(command, jobs):
    assert command("run", "knob=attn_bias", "knob.strength=1")[0] == 0
    code, _, err = command("run", "knob=attn_bias", "knob.strength=2")
    assert (code, err) == (2, "zsc: no such\\nthing\n")
    assert command("run", "knob=attn_bias", "knob.strength=4")[0] == 130
    with pytest.raises(RuntimeError, match="a fault"):
        command("run", "knob=attn_bias", "knob.strength=3")
    assert not Path("runs").exists()


def test_every_choice_of_a_multirun_is_checked_before_any_runs(command, jobs):
    code, _, err = command("run", "-m", "knob=none,attn_bias", "knob.strength=1")
    assert code == 2 and DONE == [] and "no option 'knob.strength'" in err and len(err.splitlines()) == 1


def test_a_job_that_left_nothing_is_not_taken_for_a_good_one(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps({"job": 1, "settings": "", "error": None, "code": 0}))
    with pytest.raises(ZscError, match="1 of 2 jobs failed"):
        Outcomes(tmp_path).check()


def test_a_job_sent_to_another_process_raises_nothing_there(tmp_path, monkeypatch):
    """What joblib, submitit and Ray do: the job is pickled, called elsewhere, and what it returns is pickled back."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    sent = pickle.dumps(Job("tests.test_cli_multirun:acting", Outcomes(tmp_path)))
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for number, strength in enumerate([1, 2, 3]):
            cfg = compose("run", ["knob=attn_bias", f"knob.strength={strength}", f"+hydra.job.num={number}"],
                          return_hydra_config=True)  # fmt: skip
            monkeypatch.setattr(HydraConfig, "get", lambda cfg=cfg: cfg.hydra)
            returned = JobReturn(status=JobStatus.COMPLETED)
            returned.return_value = pickle.loads(sent)(cfg)
            assert pickle.loads(pickle.dumps(returned)).return_value is None
    assert [outcome["code"] for outcome in Outcomes(tmp_path).read()] == [0, 2, 1]
    assert sys.stdout is not None
