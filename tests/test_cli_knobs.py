"""Knobs from the shell: each by its config, several together, doses in a list, and effects measured before a run."""

import json

import pytest
from hydra import compose, initialize_config_dir

from tests.families import tiny_model
from tests.processes import finished
from zsc.cli.check import check_overrides
from zsc.cli.compose import options_of
from zsc.cli.expand import expand
from zsc.configs import CONFIGS
from zsc.errors import ZscError
from zsc.generation.folder import RunFolder
from zsc.study.options import RunOptions
from zsc.study.run import run
from zsc.study.watch import Terminal

QUICK = ["dataset.limit=5", "seeds=[0]", "resampling.resamples=20", "decoding.max_new_tokens=6", "model.device=cpu",
         "format=json"]  # fmt: skip


@pytest.fixture
def zsc(tmp_path, checkpoint):
    return lambda *arguments: finished(tmp_path, "run", f"model={checkpoint}", *QUICK, *arguments)


@pytest.fixture
def run_here(tmp_path, checkpoint, monkeypatch):
    """What `zsc run` does with its arguments, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        overrides = expand([f"model={checkpoint}", *QUICK, *arguments])
        check_overrides("run", [], overrides)
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            config = compose("run", overrides)
        return run(options_of(RunOptions, config), Terminal()).folder.path

    return call


@pytest.fixture(scope="module")
def other(tmp_path_factory, tokenizer, checkpoint):
    """A checkpoint with the encoder of the first and another decoder."""
    from transformers import AutoModelForSeq2SeqLM

    model, first = tiny_model("bart", tokenizer, seed=3), AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    shared = {name: tensor for name, tensor in first.state_dict().items() if "decoder." not in name}
    model.load_state_dict(shared, strict=False)
    folder = tmp_path_factory.mktemp("other")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings_of(done):
    assert done.returncode == 0, done.stderr
    return [s for s in dict.fromkeys(row["setting"] for row in json.loads(done.stdout)) if "difference" not in s]


def test_every_knob_runs_from_its_config(run_here, other, capsys):
    elsewhere = [f"knob.other.checkpoint={other}", "knob.other.decoder=null"]
    for arguments, name in [
        (["knob=attn_bias", "knob.profile=gradual"], "attn_bias(gradual knowledge>dialog linear 20, 5)"),
        (["knob=attn_bias", "knob.layers=[1]", "knob.heads=[0,2]"], "attn_bias(knowledge, 5, layers 1, heads 0 2)"),
        (["knob=attn_bias", "knob.profile='text:the|a'"], "attn_bias(text:the|a, 5)"),
        (["knob=ctx_aug", "knob.phrases=topic_music"], "ctx_aug(topic_music, 5, K=10)"),
        (["knob=dec_mix", *elsewhere, "knob.level=hidden"], "dec_mix(hidden, 0.5)"),
        (["knob=self_attn_bias"], "self_attn_bias(recent 3, 5)"),
        (["knob=swap", *elsewhere], "swap(self_attention, other)"),
        (["knob=swap", "knob.by=shuffled"], "swap(self_attention, shuffled seed 0)"),
        (["knob=swap", "knob.by=averaged_random"], "swap(self_attention, averaged_random seed 0)"),
    ]:
        folder = RunFolder(run_here(*arguments))
        assert folder.manifest()["settings"] == ["off", name]
        assert {row["setting"] for row in folder.rows()} == {"off", name}
        assert f"{name}: next-token KL" in capsys.readouterr().err


def test_a_list_of_doses_makes_one_setting_of_each_and_the_same_responses_as_alone(zsc, tmp_path):
    done = zsc("knob=attn_bias", "knob.strength=[2,5]", "output=both")
    assert settings_of(done) == ["off", "attn_bias(knowledge, 2)", "attn_bias(knowledge, 5)"]
    rows = json.loads(done.stdout)
    table = {(row["setting"], row["metric"]): row["value"] for row in rows}
    for dose in (2, 5):
        name = f"attn_bias(knowledge, {dose})"
        change = table[name, "length"] - table["off", "length"]
        assert table[f"difference: {name}", "length"] == pytest.approx(change)
    assert zsc("knob=attn_bias", "output=alone").returncode == 0
    both, alone = RunFolder(tmp_path / "both").rows(), RunFolder(tmp_path / "alone").rows()
    assert [row for row in both if row["setting"] != "attn_bias(knowledge, 2)"] == alone
    effects = RunFolder(tmp_path / "both").manifest()["effects"]
    assert 0 < effects["attn_bias(knowledge, 2)"]["kl"] < effects["attn_bias(knowledge, 5)"]["kl"]


def test_each_layer_makes_one_setting_as_if_it_were_listed(run_here):
    each = RunFolder(run_here("knob=attn_bias", "knob.layers=each", "knob.strength=[2,5]", "output=each"))
    names = [f"attn_bias(knowledge, {dose}, layers {layer})" for dose in (2, 5) for layer in (0, 1)]
    assert each.manifest()["settings"] == ["off", *names]
    for layer in (0, 1):
        alone = run_here("knob=attn_bias", f"knob.layers=[{layer}]", f"output={layer}", f"cells=cells-{layer}")
        name = f"attn_bias(knowledge, 5, layers {layer})"
        assert [row for row in each.rows() if row["setting"] in ("off", name)] == list(RunFolder(alone).rows())
    doses = {row["setting"]: row["response"] for row in each.rows()}
    assert len({doses[name] for name in names}) > 1


def test_each_layer_of_one_knob_beside_each_of_another(run_here):
    several = ["knob=[attn_bias,swap]", "knob.attn_bias.layers=each", "knob.swap.by=shuffled", "knob.swap.layers=each"]
    assert RunFolder(run_here(*several)).manifest()["settings"][1:] == [
        f"attn_bias(knowledge, 5, layers {first})+swap(self_attention, shuffled seed 0, layers {second})"
        for first in (0, 1)
        for second in (0, 1)
    ]


def test_each_layer_makes_a_sweep(command, checkpoint):
    settings = ["knob=self_attn_bias", "knob.layers=each", f"model={checkpoint}", *QUICK]
    status, out, err = command("sweep", *settings)
    assert status == 0, err
    assert {row["setting"] for row in json.loads(out) if "difference" not in row["setting"]} == {
        "off",
        *(f"self_attn_bias(recent 3, 5, layers {layer})" for layer in (0, 1)),
    }


def test_several_knobs_together(zsc, tmp_path):
    done = zsc("knob=[attn_bias,ctx_aug]", "knob.attn_bias.strength=2", "knob.ctx_aug.strength=[1,3]", "output=out")
    assert settings_of(done) == [
        "off",
        "attn_bias(knowledge, 2)+ctx_aug(questions, 1, K=10)",
        "attn_bias(knowledge, 2)+ctx_aug(questions, 3, K=10)",
    ]
    drawn = RunFolder(tmp_path / "out").manifest()["made_from"]["phrases"]
    assert list(drawn) == settings_of(done)[1:] and all(list(sets) == ["questions"] for sets in drawn.values())
    assert all(len(sets["questions"]) == 10 and sets["questions"][0].endswith("?") for sets in drawn.values())
    assert "phrase_copy_rate" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["knob=[attn_bias,attn_bias]"], "must list different knobs"),
        (["knob=[attn_bias,none]"], "must list different knobs"),
        (["knob=[attn_bias,ctx_agu]"], "no knob 'ctx_agu'. Did you mean 'ctx_aug'?"),
        (["knob=[attn_bias,ctx_aug]", "knob.strength=2"], "no option 'knob.strength'"),
        (["knob=attn_bias", "knob.strength=[]"], "lists no value"),
        (["knob=attn_bias", "knob.profile=tokens:0:999"], "changes nothing on this batch"),
        (["knob=attn_bias", "knob.profile=turn:7"], "has no turn:7"),
        (["knob=attn_bias", "knob.layers=[5]"], "layer 5 does not exist"),
        (["knob=attn_bias", "knob.layers=all"], "layers=all must be a list, such as [0,1], each"),
        (["knob=ctx_aug", "knob.phrases=questoins"], "Did you mean 'questions'?"),
        (["knob=ctx_aug", "knob.count=31"], "between 1 and the 30 phrases"),
        (["knob=dec_mix"], "of decoder weights. With decoder=null"),
        (["knob=dec_mix", "knob.other.checkpoint=mini", "knob.other.decoder=null"], "decoders are of different kinds"),
        (["knob=swap", "knob.other.decoder=null"], "the other model is the model itself"),
        (
            ["knob=swap", "knob.by=random", "knob.component=self_atention"],
            "self_attention, cross_attention, feed_forward",
        ),
        (["knob=swap", "knob.by=others"], "other, averaged, layer_mean, random, shuffled"),
        (["knob=attn_bias", "knob.profile=[knowledge,dialgo]"], "has no field 'dialgo' to bias towards. Did you"),
        (["knob=attn_bias", "knob.strength=[2,2.0]"], "would both be called attn_bias(knowledge, 2)"),
        (["knob=attn_bias", "knob.name=foo"], "no knob 'foo'"),
        (["knob=self_attn_bias", "knob.seed=abc"], "seed='abc' must be a whole number"),
        (["knob=ctx_aug", "knob.phrases=[questions,a]"], "phrases 'a' are neither a set"),
        (["knob=several"], "write them as a list"),
    ],
)
def test_bad_knobs_are_refused_and_leave_nothing(run_here, tmp_path, arguments, message):
    with pytest.raises(ZscError) as error:
        run_here(*arguments)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_short_forms():
    assert expand(["knob=[attn_bias]"]) == ["knob=several", "+knob@knob.attn_bias=attn_bias"]
    with pytest.raises(ZscError, match="no knob"):
        expand(["knob=[]"])
