"""Every knob on every family equals its definition, and the table in docs/supported.md says where."""

from dataclasses import replace

import pytest
import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

from tests.coverage import (
    COLUMNS,
    DECODINGS,
    OFF,
    RELEASE,
    SOURCE,
    TARGETS,
    given,
    logits,
    measure,
    pair_of,
    row_of,
    table_in_docs,
)
from tests.families import COMBINED, FAMILIES, UNSOUND
from tests.knob_cases import dosed, neutral
from tests.reference import interpolated_copy
from zsc.generation.generate import Job, decode
from zsc.knobs import DecoderMixing, UnsupportedModel, apply
from zsc.knobs.anatomy import family as family_of
from zsc.knobs.encoder import EncoderReading, encode
from zsc.knobs.repeated import FAULTS
from zsc.knobs.supported import BACKENDS, MEASURED, MEASURED_WITH, check_model


def present(family):
    """Skip where this version of transformers lacks the family."""
    if family not in (*CONFIG_MAPPING_NAMES, *COMBINED):
        pytest.skip(f"transformers {transformers.__version__} has no {family}")
    return family


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_knob_equals_its_definition_or_says_why_it_cannot_work(name, family, backend):
    """With other versions of transformers than those of the table more may be refused, but nothing is wrong.

    A knob that the table was not yet written with is compared with its definition alone.
    """
    outcome = measure(name, present(family), backend)
    claimed = row_of(table_in_docs(), family)
    if RELEASE in MEASURED_WITH and name in claimed:
        assert (outcome == list(DECODINGS)) == (backend in claimed[name]), outcome


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_repeated_states_and_nothing_sees_the_future(family, backend):
    for name, what in ((OFF, "steps"), ("attn_bias", "source"), ("self_attn_bias", "past")):
        if isinstance(measure(name, present(family), backend), list):
            model, _ = pair_of(family, backend)
            assert FAULTS[what](model, encode(model, SOURCE), SOURCE.attention_mask, TARGETS) is None


@pytest.mark.parametrize("family", UNSOUND)
def test_what_is_refused_with_and_without_knobs_is_unsound(family):
    model, _ = pair_of(present(family), "eager")
    found = FAULTS["steps"](model, encode(model, SOURCE), SOURCE.attention_mask, TARGETS)
    assert found.startswith("logits depend on later tokens")
    with pytest.raises(UnsupportedModel, match="cannot be used"):
        check_model(model)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", dosed())
def test_neutral_settings_are_bit_equal(name, family, backend):
    if isinstance(measure(OFF, present(family), backend), str):
        return
    model, other = pair_of(family, backend)
    states = encode(model, SOURCE)
    plain = logits(model, states, SOURCE.attention_mask)
    knob = neutral(name, given(other))
    assert knob.neutral
    with apply(model, [knob], SOURCE):
        assert torch.equal(logits(model, states, SOURCE.attention_mask), plain)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in UNSOUND])
def test_weights_of_both_decoders_mix_on_every_family(family):
    model, other = pair_of(present(family), "eager")
    states = encode(model, SOURCE)
    with apply(model, [DecoderMixing(other, 0.4, "weights")], SOURCE):
        actual = logits(model, states, SOURCE.attention_mask)
    copied = interpolated_copy(model, other, 0.4)
    torch.testing.assert_close(actual, logits(copied, states, SOURCE.attention_mask), atol=1e-5, rtol=1e-5)
    job, beams = Job([DecoderMixing(other, 0.4, "weights")], 0), DECODINGS["beams"]
    cached, recomputed = (
        decode(EncoderReading(model, SOURCE, states), ["a", "b", "c"], [job], replace(beams, use_cache=cache))
        for cache in (True, False)
    )
    assert torch.equal(cached, recomputed)


@pytest.mark.parametrize("kind", MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
def test_every_class_that_the_library_may_load_stands_in_the_table(kind):
    """A new version of transformers shows here what is not measured yet."""
    table = table_in_docs()
    if kind not in FAMILIES:
        assert f"`{kind}`" in table, f"{kind} stands in no row: measure it in tests/families.py"
        assert not AutoConfig.for_model(kind).is_encoder_decoder


def test_the_families_of_the_table_are_those_that_pass_unchecked():
    sound = [family for family in FAMILIES if family not in UNSOUND]
    assert {family_of(pair_of(family, "eager")[0]) for family in sound if family in CONFIG_MAPPING_NAMES} <= MEASURED
    assert len(sound) == len(MEASURED)
