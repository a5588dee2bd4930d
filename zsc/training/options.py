"""The options of a training: configs/train.yaml and a dataclass for each of configs/objective."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from zsc.data.layouts import AutoLayout, BucketLayout, Layout, read_layout
from zsc.data.options import DatasetOptions
from zsc.errors import ZscError, suggestion
from zsc.options import Count, plain, read

SMALL = {  # the configuration of a new model: small, and without dropout
    "d_model": 256,
    "encoder_layers": 4,
    "decoder_layers": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 1024,
    "decoder_ffn_dim": 1024,
    "max_position_embeddings": 192,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
TRAINER = {
    "max_steps": 1000,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "warmup_steps": 100,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "logging_steps": 50,
    "eval_strategy": "steps",
    "eval_steps": 250,
    "save_steps": 250,
    "save_total_limit": 2,
}


def topical_chat(split: str, limit: int | None = None) -> DatasetOptions:
    """Return a split of Topical-Chat with turns of any place and knowledge."""
    own = {"path": None, "split": split, "min_history": 1, "min_similarity": 0.0}
    return DatasetOptions("topical_chat", limit, own)


@dataclass(frozen=True)
class CorruptionOptions:
    """What denoising corrupts a text by: see :mod:`zsc.training.corruption`."""

    share: float = 0.3
    mean_span: float = 3.0
    permute: float = 0.5
    clean: float = 0.0


@dataclass(frozen=True)
class TokenizerOptions:
    """A byte-level BPE that is trained for a new model."""

    vocab_size: Count = 8000
    speaker_tokens: tuple[str, str] = ("<speaker1>", "<speaker2>")


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Files of one document per line, to train on and to hold out, and the longest segment of them in tokens."""

    text: str
    heldout: str
    segment_tokens: Count = 64


@dataclass(frozen=True, kw_only=True)
class DenoiseOptions(TextOptions):
    """configs/objective/denoise.yaml"""

    name: ClassVar[str] = "denoise"
    noise: CorruptionOptions = field(default_factory=CorruptionOptions)
    checkpoint: str | None = None
    architecture: str = "mbart"
    config: Mapping[str, Any] = field(default_factory=lambda: dict(SMALL))
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TextToTextOptions:
    """configs/objective/text_to_text.yaml"""

    name: ClassVar[str] = "text_to_text"
    checkpoint: str
    decoder: str | None = None
    language_model: str | None = None
    train: tuple[DatasetOptions, ...]
    heldout: tuple[DatasetOptions, ...]
    target_tokens: Count = 128
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DialogueOptions(TextToTextOptions):
    """configs/objective/dialogue.yaml"""

    name: ClassVar[str] = "dialogue"
    train: tuple[DatasetOptions, ...] = (topical_chat("train"),)
    heldout: tuple[DatasetOptions, ...] = (topical_chat("valid_freq", 500),)
    target_tokens: Count = 40
    freeze: tuple[str, ...] = ("encoder", "embeddings")


@dataclass(frozen=True, kw_only=True)
class LanguageModelOptions(TextOptions):
    """configs/objective/language_model.yaml"""

    name: ClassVar[str] = "language_model"
    checkpoint: str
    freeze: tuple[str, ...] = ("embeddings", "cross_attention")


ObjectiveOptions = DenoiseOptions | TextToTextOptions | LanguageModelOptions
OBJECTIVES: dict[str, type[ObjectiveOptions]] = {
    "denoise": DenoiseOptions,
    "dialogue": DialogueOptions,
    "language_model": LanguageModelOptions,
    "text_to_text": TextToTextOptions,
}


def named_layout(key: str, value: Any) -> Layout:
    """Return ``value`` as a layout to train with. Raises ZscError for one that only a trained checkpoint decides."""
    layout = read_layout(key, value)
    if isinstance(layout, AutoLayout):
        raise ZscError(
            f"{key}=auto goes by what a checkpoint was trained with; a training needs a layout of its own, such as"
            f" {key}=plain, or the one that zsc run names for the checkpoint."
        )
    return layout


@dataclass(frozen=True)
class Objective:
    """One of OBJECTIVES, read by its name."""

    options: ObjectiveOptions

    @classmethod
    def from_mapping(cls, values: Any, at: str) -> "Objective":
        given = dict(values) if isinstance(values, Mapping) else {}
        name = str(given.pop("name", values))
        if name not in OBJECTIVES:
            raise ZscError(f"no objective '{name}'.{suggestion(name, OBJECTIVES)} Known: {', '.join(OBJECTIVES)}.")
        return cls(read(OBJECTIVES[name], given, at))

    def to_mapping(self) -> dict[str, Any]:
        return {"name": self.options.name, **plain(self.options)}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """configs/train.yaml; ``trainer`` are fields of :class:`transformers.TrainingArguments`."""

    objective: Objective
    output: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    freeze: tuple[str, ...]
    layout: Annotated[Layout, named_layout] = field(default_factory=BucketLayout)
    trainer: Mapping[str, Any] = field(default_factory=lambda: dict(TRAINER))
