"""Sources whose hidden positions no layer reads, against sources read whole: states, what decoders say, widths."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.families import EAGER_ONLY, FAMILIES, TOKENS, UNSOUND, tiny_family
from zsc.data.source import PAD, Row, Source, Sources
from zsc.generation.batches import ReadBatches, by_length
from zsc.generation.slots.sound import slots_fault
from zsc.knobs.anatomy import layer_list
from zsc.knobs.packing import NotPacked, attended_first, packed, packing, packs, read_packed
from zsc.knobs.read import read

VOCABULARY = 90
WHOLE = {  # families that find positions again between layers, or attend in windows: they read sources whole
    "pegasus_x", "led", "t5", "mt5", "umt5", "longt5", "switch_transformers", "t5gemma", "t5gemma2",
}  # fmt: skip
SEGMENTS = [[0, 1, 1, PAD, PAD, PAD, 2, 2, 3, 3, PAD, 3], [0, 1, PAD, PAD, 2, 2, 2, 2], [0, 1, 1, 1, PAD, 2, 3, 3, 3]]


def hollow():
    """Sources with padding inside of them, and behind."""
    sources, generator = Sources(TOKENS["pad_token_id"]), torch.Generator().manual_seed(4)
    for segments in SEGMENTS:
        ids = torch.randint(5, VOCABULARY, (len(segments),), generator=generator).tolist()
        sources.add([Row([-1 if segment == PAD else i for i, segment in zip(ids, segments, strict=True)], segments)])
    return sources


def family_model(family):
    return tiny_family(family, VOCABULARY, "eager" if family in EAGER_ONLY else "sdpa")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in UNSOUND])
@torch.inference_mode()
def test_families_pack_where_they_give_the_same(family):
    model, source = family_model(family), hollow().batch(range(3))
    assert packs(model, source) is (family not in WHOLE)
    if family in WHOLE:
        return
    whole, apart = read(model, source), read_packed(model, source)
    assert apart.source.attention_mask.tolist() == [[1] * 8, [0, 0, *[1] * 6], [1] * 8]
    targets = torch.cat([whole.begins[:, None], source.input_ids[:, -4:]], dim=1)
    torch.testing.assert_close(apart.decode(targets).logits, whole.decode(targets).logits, rtol=0, atol=2e-5)
    for row, mask in enumerate(source.attention_mask.bool()):
        own = apart.source.attention_mask[row].bool()
        torch.testing.assert_close(apart.states[row, own], whole.states[row, mask], rtol=0, atol=2e-5)
        assert apart.source.input_ids[row, own].tolist() == source.input_ids[row, mask].tolist()
        assert apart.source.segments[row, own].tolist() == source.segments[row, mask].tolist()


def test_a_vocabulary_of_responses_of_its_own_may_be_smaller():
    model, source = family_model("marian"), hollow().batch(range(3))
    decoder = model.get_decoder()
    decoder.embed_tokens = nn.Embedding(4, decoder.embed_tokens.embedding_dim)
    model.lm_head = nn.Linear(decoder.embed_tokens.embedding_dim, 4, bias=False)
    model.final_logits_bias = torch.zeros(1, 4)
    model.config.decoder_vocab_size = 4
    model.generation_config.decoder_start_token_id = 0
    assert packs(model, source) and slots_fault(read_packed(model, source), True) is None


def test_layers_read_attended_positions_alone():
    model, seen = family_model("bart"), []
    for layer in layer_list(model.get_encoder())[1]:
        layer.fc1.register_forward_hook(lambda layer, args, output: seen.append(output.shape[1]))
    batches = ReadBatches(model, hollow(), 2)
    assert batches.rows == [[0, 2], [1]]
    packs(model, hollow().batch([0]))
    seen.clear()
    assert [batches.batch(number)[1].states.shape[1] for number in range(2)] == [8, 6]
    assert set(seen) == {8, 6}


def test_states_read_whole_are_packed_too():
    model, source = family_model("t5"), hollow().batch(range(3))
    whole = read(model, source)
    apart = packed(whole)
    targets = torch.cat([whole.begins[:, None], source.input_ids[:, -4:]], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(apart.decode(targets).logits, whole.decode(targets).logits, rtol=0, atol=2e-5)
    assert ReadBatches(model, hollow(), 3).batch(0)[1].states.shape[1] == 12


def test_only_padding_at_the_right_needs_no_packing():
    order = attended_first(torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0]]))
    assert order.tolist() == [[0, 1, 3], [2, 3, 0]]
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    source = Source(torch.tensor([[5, 6, 7], [8, 9, 1]]), mask, mask)
    assert read_packed(family_model("bart"), source).source is source


@pytest.mark.parametrize(
    ("model", "options"), [("half", {}), ("bart", {"pack": False})], ids=["half precision", "not allowed"]
)
def test_sources_are_read_whole_where_they_must_be(model, options):
    model = family_model("bart").half() if model == "half" else family_model(model)
    batches = ReadBatches(model, hollow(), 3, **options)
    assert batches.batch(0)[1].states.shape[1] == 12


def test_what_a_layer_takes_must_be_known():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Identity()])

    stack, order = Stack(), torch.tensor([[0, 1, 3]])
    with packing(stack, order, 4):
        assert stack.layers[0](torch.arange(4.0)[None, :, None]).flatten().tolist() == [0, 1, 3]
        bias = torch.arange(16.0).view(1, 1, 4, 4)
        assert stack.layers[0](bias)[0, 0].tolist() == [[0, 1, 3], [4, 5, 7], [12, 13, 15]]
        with pytest.raises(NotPacked, match=r"a layer takes numbers of the shape \(1, 4\)"):
            stack.layers[0](torch.zeros(1, 4))
    assert stack.layers[0](torch.zeros(1, 4)).shape == (1, 4)


def test_batches_are_of_like_lengths_within_windows():
    lengths = np.array([5, 5, 9, 5, 9, 1, 1, 1, 30])
    attended = np.array([3, 5, 4, 5, 9, 1, 1, 1, 30])
    assert by_length(lengths, attended, 2) == [[4, 2], [1, 3], [0, 5], [6, 7], [8]]


def test_attended_positions_are_counted():
    assert hollow().attended.tolist() == [8, 6, 8]
    every = Sources(1, attend_padding=True)
    every.add([Row([4, -1, 5], [0, PAD, 1])])
    assert every.attended.tolist() == [3] and Sources(1).attended.tolist() == []
