"""The same model in CTranslate2: its weights converted, its sources without padding, decoded by the same options."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from zsc.errors import first_line
from zsc.generation.decoding import Decoding
from zsc.install import check_installed
from zsc.knobs.anatomy import is_causal
from zsc.knobs.encoder import start_token
from zsc.models.load import Loaded
from zsc.study.bench_ways import Measured
from zsc.study.experiment import Experiment
from zsc.study.filling import room_of
from zsc.study.timing import seconds_of

TOLD = ("max_new_tokens", "min_new_tokens", "sample", "temperature", "top_p", "top_k", "num_beams", "length_penalty",
        "no_repeat_ngram_size", "repetition_penalty", "forced_first")  # fmt: skip
NORM_FIRST = {"bart": False, "mbart": True}  # which its converter looks for in configs, where it stands no more
TYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


class NotConvertible(ValueError):
    """CTranslate2 cannot do what this model or its decoding does; the text says why."""


def check_ctranslate2() -> None:
    """Raise ZscError, which says how to install it, unless ctranslate2 is there."""
    check_installed("ctranslate2", "bench", "the comparison with CTranslate2")


@dataclass(frozen=True)
class Converted:
    """A model in CTranslate2: an ``engine`` of its package, with the tokenizer and the options of ours."""

    engine: Any
    loaded: Loaded
    decoding: Decoding

    def measured(self, experiment: Experiment) -> Measured:
        """Make a response to every example of ``experiment``, and decode its text."""
        import ctranslate2

        prompts, size = prompts_of(experiment), room_of(experiment).read
        ctranslate2.set_random_seed(experiment.seeds[0])
        made, seconds = seconds_of(lambda: self._texts(prompts, size))
        return Measured(seconds, len(made), sum(len(ids) for ids, _ in made))

    def respond(self, prompts: Sequence[Sequence[str]], batch_size: int) -> list[list[int]]:
        """Return the token ids of a response to each of ``prompts``, its end token included."""
        options = {**told(self.decoding), "max_batch_size": batch_size, "return_end_token": True}
        options["end_token"] = end_tokens(self.loaded)
        longest, shortest = self.decoding.max_new_tokens, self.decoding.min_new_tokens
        if is_causal(self.loaded.model):
            options |= {"max_length": longest, "min_length": shortest, "include_prompt_in_result": False}
            return [one.sequences_ids[0] for one in self.engine.generate_batch(prompts, **options)]
        tokenizer, first = self.loaded.target_tokenizer, first_token(self.loaded, self.decoding)
        options |= {"max_decoding_length": longest, "min_decoding_length": shortest, "max_input_length": 0}
        if first is not None:
            options["target_prefix"] = [[tokenizer.convert_ids_to_tokens(first)]] * len(prompts)
        results = self.engine.translate_batch(prompts, **options)
        every: list[list[int]] = [tokenizer.convert_tokens_to_ids(one.hypotheses[0]) for one in results]  # type: ignore[misc]
        return [ids[first is not None :] for ids in every]

    def _texts(self, prompts: Sequence[Sequence[str]], batch_size: int) -> list[tuple[list[int], str]]:
        ids = self.respond(prompts, batch_size)
        texts = self.loaded.target_tokenizer.batch_decode(ids, skip_special_tokens=True)
        return list(zip(ids, texts, strict=True))


def converted(loaded: Loaded, decoding: Decoding) -> Converted:
    """Return ``loaded`` in CTranslate2, in the same precision, on the same device, with as many threads.

    Raises NotConvertible if that cannot have the model or its decoding.
    """
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    check_same(loaded, decoding)
    device, precision = loaded.model.device, TYPES[loaded.model.dtype]
    kind = ctranslate2.Generator if is_causal(loaded.model) else ctranslate2.Translator
    with TemporaryDirectory() as folder:
        own, other = Path(folder, "own"), Path(folder, "other")
        loaded.model.save_pretrained(own)
        loaded.tokenizer.save_pretrained(own)
        model_type = loaded.model.config.model_type
        if model_type in NORM_FIRST:
            edit(own / "config.json", normalize_before=NORM_FIRST[model_type])
        try:
            TransformersConverter(str(own)).convert(str(other), quantization=precision)
            if not is_causal(loaded.model):
                begins = loaded.target_tokenizer.convert_ids_to_tokens(start_token(loaded.model))
                edit(other / "config.json", decoder_start_token=str(begins))
            engine = kind(
                str(other),
                device=device.type,
                device_index=device.index or 0,
                compute_type=precision,
                inter_threads=1,
                intra_threads=torch.get_num_threads(),
            )
        except Exception as error:  # a converter for many families, which raises what it meets
            raise NotConvertible(first_line(error)) from error
    return Converted(engine, loaded, decoding)


def check_same(loaded: Loaded, decoding: Decoding) -> None:
    """Raise NotConvertible for what only ours can do."""
    default = Decoding()
    for name in (field.name for field in fields(Decoding) if field.name not in TOLD):
        if (value := getattr(decoding, name)) != getattr(default, name):
            raise NotConvertible(f"it has no decoding.{name}={value}")
    if loaded.target_tokenizer is not loaded.tokenizer and (
        loaded.target_tokenizer.get_vocab() != loaded.tokenizer.get_vocab()
    ):
        raise NotConvertible("sources and responses have vocabularies of their own")
    if loaded.model.dtype not in TYPES or loaded.model.device.type not in ("cpu", "cuda"):
        raise NotConvertible(f"it has no {loaded.model.dtype} on {loaded.model.device.type}")


def told(decoding: Decoding) -> dict[str, Any]:
    """Return ``decoding``, but for lengths and a first token, by the names that CTranslate2 has for it."""
    drawn = {
        "sampling_topk": decoding.top_k,
        "sampling_topp": float(decoding.top_p),
        "sampling_temperature": float(decoding.temperature),
    }
    return {
        "beam_size": decoding.num_beams,
        "length_penalty": float(decoding.length_penalty),
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
        "repetition_penalty": float(decoding.repetition_penalty),
        **(drawn if decoding.sample else {"sampling_topk": 1}),
    }


def prompts_of(experiment: Experiment) -> list[list[str]]:
    """Return the sources as tokens, without padding: neither around them nor, as CTranslate2 masks none, inside."""
    tokenizer = experiment.loaded.tokenizer
    prompts = []
    for _, source in experiment.sources.chunks():
        for ids, attended in zip(source.input_ids, source.attention_mask.bool(), strict=True):
            prompts.append(list(map(str, tokenizer.convert_ids_to_tokens(ids[attended].tolist()))))
    return prompts


def end_tokens(loaded: Loaded) -> list[int]:
    end = loaded.model.generation_config.eos_token_id
    return [end] if isinstance(end, int) else list(end)


def first_token(loaded: Loaded, decoding: Decoding) -> int | None:
    """Return the token that responses are forced to begin with, if there is one."""
    first = decoding.forced_first
    first = loaded.model.generation_config.forced_bos_token_id if first is None else first
    assert not isinstance(first, str)  # formats have numbers
    return first


def edit(file: Path, **values: Any) -> None:
    """Set ``values`` in a JSON ``file``."""
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")
