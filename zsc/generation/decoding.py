"""Decoding options: every one explicit, or those that a checkpoint was published with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Annotated, Any

from zsc.errors import ZscError
from zsc.options import read


def stopping(key: str, value: Any) -> bool | str:
    """Return ``value``, of the option ``key``. Raises ZscError unless it says when beam search stops."""
    if not isinstance(value, bool) and value != "never":
        raise ZscError(f"{key}={value} must be true, false or never.")
    return value


@dataclass(frozen=True)
class Decoding:
    """How responses are decoded. ``sample`` draws tokens; otherwise greedy, or beam search if ``num_beams`` > 1.

    ``forced_first`` is the token that responses begin with, where a checkpoint has none of its own, ``forced_last``
    that which ends one that is as long as may be: as in the vocabulary, or by its number. ``stop`` is a text at which
    a response ends, without it.
    """

    max_new_tokens: int = 40
    min_new_tokens: int = 1
    sample: bool = True
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    num_beams: int = 1
    early_stopping: Annotated[bool | str, stopping] = False
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    encoder_no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    renormalize_logits: bool = False
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    forced_first: str | int | None = None
    forced_last: str | int | None = None
    use_cache: bool = True
    stop: str | None = None

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens": self.max_new_tokens >= 1,
            "min_new_tokens": 0 <= self.min_new_tokens <= self.max_new_tokens,
            "temperature": self.temperature > 0,
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "num_beams": self.num_beams >= 1,
            "repetition_penalty": self.repetition_penalty > 0,
            "no_repeat_ngram_size": self.no_repeat_ngram_size >= 0,
            "encoder_no_repeat_ngram_size": self.encoder_no_repeat_ngram_size >= 0,
        }
        numbers = {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}
        checks |= {name: checks.get(name, True) and isfinite(value) for name, value in numbers.items()}
        for name, ok in checks.items():
            if not ok:
                raise ZscError(f"decoding.{name}={getattr(self, name)} is out of range.")
        if self.stop == "":
            raise ZscError("decoding.stop='' is in every text: give the text at which responses end, or null.")
        if self.sample and self.num_beams > 1:
            raise ZscError("decoding.sample=true goes with decoding.num_beams=1: use decoding=beam for beam search.")


@dataclass(frozen=True)
class PublishedDecoding:
    """What the generation config of a checkpoint says, or the library where that is silent, but for the options in
    ``given``. An option of the library that zsc has none for is refused, unless it changes nothing.
    """

    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def max_new_tokens(self) -> int | None:
        return self.given.get("max_new_tokens")

    @property
    def use_cache(self) -> bool:
        return bool(self.given.get("use_cache", True))

    def of(self, published: Mapping[str, Any], causal: bool = False) -> Decoding:
        """Return the decoding of a checkpoint, whose generation config has the values ``published``.

        Lengths of a ``causal`` model that count its prompt say nothing of responses, and are left out. Raises ZscError
        for an option that zsc cannot do.
        """
        from transformers import GenerationConfig

        known = vars(GenerationConfig())  # the library reads no others
        said = {name: value for name, value in published.items() if name in known and value not in (None, [])}
        for name in WITH_PROMPT if causal else ():
            said.pop(name, None)
        own = DEFAULTS | {name: said[name] for name in SAME if name in said}
        own["sample"] = self.given.get("sample", bool(said.get("do_sample")))
        own |= {name: said[name] for name in DRAWN if name in said} if own["sample"] else UNDRAWN
        if "max_length" in said:  # of a response and the token that the decoder starts from
            own["max_new_tokens"] = said["max_length"] - 1
        own["max_new_tokens"] = self.given.get("max_new_tokens", said.get("max_new_tokens", own["max_new_tokens"]))
        least = said.get("min_new_tokens", max(said.get("min_length", 0) - 1, 0))
        own["min_new_tokens"] = min(least, own["max_new_tokens"])
        if "forced_eos_token_id" in said:  # of several, which end a response alike, the one that greedy search takes
            last = said["forced_eos_token_id"]
            own["forced_last"] = min(last) if isinstance(last, list) else last
        if foreign := [name for name in said if name not in READ and not self._idle(name, said, own["sample"])]:
            raise ZscError(
                f"decoding=checkpoint: this checkpoint was published with {foreign[0]}={said[foreign[0]]}, which zsc"
                " does not do. Choose decoding=sample, greedy or beam, and set what you want of the rest."
            )
        if own["sample"] and self.given.get("num_beams", own["num_beams"]) > 1:
            raise ZscError(
                f"decoding=checkpoint: this checkpoint was published with num_beams={own['num_beams']} and draws tokens"
                " (do_sample), which zsc does not do together. Set decoding.num_beams=1 or decoding.sample=false."
            )
        return read(Decoding, {**own, **self.given}, "decoding")

    def _idle(self, name: str, said: Mapping[str, Any], sample: bool) -> bool:
        """Say whether the option ``name`` of the library, as it is ``said``, leaves responses as they are."""
        if name in IDLE or name.startswith("_"):
            return True
        return said[name] == NEUTRAL.get(name) or (name in ONLY_DRAWING and not sample)

    def to_mapping(self) -> dict[str, Any]:
        return {"published": True, **self.given}


SAME = (  # options that the library has under the same name
    "num_beams", "early_stopping", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
    "repetition_penalty", "renormalize_logits", "suppress_tokens", "begin_suppress_tokens",
)  # fmt: skip
WITH_PROMPT = ("max_length", "min_length")
DRAWN = ("temperature", "top_p", "top_k")
DEFAULTS = dict(max_new_tokens=20, num_beams=1, temperature=1.0, top_p=1.0, top_k=50)  # of the library
UNDRAWN = dict(temperature=1.0, top_p=1.0, top_k=0)
READ = {
    *SAME, *DRAWN, "do_sample", "max_length", "max_new_tokens", "min_length", "min_new_tokens", "forced_eos_token_id"
}  # fmt: skip
ONLY_DRAWING = ("min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
IDLE = {  # which are not decoding, or are those of every decoding of the checkpoint, or change its speed alone
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id", "bad_words_ids",
    "transformers_version", "use_cache", "num_return_sequences", "output_attentions", "output_hidden_states",
    "output_scores", "output_logits", "return_dict_in_generate", "is_assistant", "max_time", "cache_implementation",
    "cache_config", "max_cache_len", "num_assistant_tokens", "num_assistant_tokens_schedule",
    "assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind", "assistant_early_exit",
    "assistant_ensemble_weight", "max_matching_ngram_size", "prompt_lookup_num_tokens", "compile_config",
    "disable_compile", "continuous_batching_config", "prefill_chunk_size", "speculation_type", "use_mtp", "low_memory",
}  # fmt: skip
NEUTRAL = {
    "num_beam_groups": 1, "diversity_penalty": 0.0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
    "guidance_scale": 1.0, "remove_invalid_values": False, "penalty_alpha": 0.0, "encoder_repetition_penalty": 1.0,
    "token_healing": False, "min_p": 0.0, "top_h": 1.0,
}  # fmt: skip


def read_decoding(key: str, value: Any) -> Decoding | PublishedDecoding:
    """Return ``value``, a config of the group decoding, as options. Raises ZscError for what is none."""
    if isinstance(value, Decoding | PublishedDecoding):
        return value
    given = dict(value) if isinstance(value, Mapping) else {}
    if not given.pop("published", False):
        return read(Decoding, value if "published" not in (value or ()) else given, key)
    chosen = {name: one for name, one in given.items() if one is not None}
    ranges = {"min_new_tokens": 0, "max_new_tokens": chosen.get("min_new_tokens", Decoding.max_new_tokens)}
    read(Decoding, {**ranges, "sample": False, **chosen}, key)  # to check each by itself
    return PublishedDecoding(chosen)
