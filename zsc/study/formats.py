"""The format of a checkpoint: the layout of its sources and its decoding, settled once it is loaded."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from zsc.data.cut import Cut
from zsc.data.layouts import LAYOUTS, AutoLayout, Layout, read_layout
from zsc.data.layouts.languages import language_tokens
from zsc.data.layouts.presets import Checkpoint, preset_for, preset_values
from zsc.data.record import Record
from zsc.data.source import Sources
from zsc.errors import ZscError, suggestion
from zsc.generation.checks import check_lengths, source_limit
from zsc.generation.decoding import DRAWN, Decoding, PublishedDecoding
from zsc.generation.sampling import check_of_prompt
from zsc.knobs.anatomy import is_causal
from zsc.models.files import on_disk
from zsc.models.load import Loaded
from zsc.study.options import RunOptions
from zsc.study.stored import stored_config

OWN_LAYOUT = "zsc_layout.yaml"  # in the folder of a model that `zsc train` has made
FALLBACK = "buckets"  # of a dialogue; of other tasks, the preset of the task's name


@dataclass(frozen=True)
class Format:
    """How sources are laid out and responses decoded; ``remarks`` say what was chosen, and by what."""

    layout: Layout
    decoding: Decoding
    remarks: tuple[str, ...] = ()

    def lay_out(self, records: Sequence[Record], loaded: Loaded) -> tuple[Sources, Cut]:
        """Lay out ``records`` for the model. Raises ZscError where they, or responses, are longer than it can read."""
        longest = self.decoding.max_new_tokens
        check_lengths(loaded.model, 0, longest)
        sources, cut = self.layout.lay_out(records, loaded.tokenizer, source_limit(loaded.model, longest))
        check_lengths(loaded.model, sources.longest, longest)
        return sources, cut


def format_of(options: RunOptions, loaded: Loaded) -> Format:
    """Return the format that ``options`` ask for. Raises ZscError for languages and tokens that ``loaded`` has not."""
    layout, remarks = options.layout, []
    if isinstance(layout, AutoLayout):
        layout, remark = chosen(layout, checkpoint_of(options, loaded.model.config, loaded.tokenizer))
        remarks.append(remark)
    decoding = options.decoding
    if isinstance(decoding, PublishedDecoding):
        decoding = decoding.of(loaded.published, is_causal(loaded.model))
        unused = () if decoding.sample else DRAWN
        said = {name: one for name, one in asdict(decoding).items() if one not in (None, ()) and name not in unused}
        remarks.append(f"decoding of the checkpoint: {', '.join(f'{name}={value}' for name, value in said.items())}")
    return Format(layout, with_tokens(decoding, layout, loaded), tuple(remarks))


def checkpoint_of(options: RunOptions, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> Checkpoint:
    """Return what is known of the model of ``options``."""
    own = str(getattr(config, "_name_or_path", ""))
    name, has = f"{options.model.checkpoint} {own}", tokenizer.get_vocab().__contains__
    kind, folder = type(tokenizer).__name__, on_disk(options.model.checkpoint)
    causal, chat = not config.is_encoder_decoder, bool(tokenizer.chat_template)
    return Checkpoint(name, config.model_type, kind, options.task.name, has, folder, causal, chat)


def chosen(layout: AutoLayout, checkpoint: Checkpoint) -> tuple[Layout, str]:
    """Return the layout of ``checkpoint`` with the options of ``layout``, and a line about it.

    Raises ZscError for an option that the layout chosen has not.
    """
    own = trained_layout(checkpoint.folder)
    found = ("as it was trained", f"own {OWN_LAYOUT}") if own else preset_for(checkpoint)
    name = found[0] if found else FALLBACK if checkpoint.task == "dialogue" else checkpoint.task
    values = own or preset_values(name)
    if unknown := [option for option in layout.given if option not in own_options(values)]:
        raise ZscError(
            f"layout.{unknown[0]} is no option of the layout {name}, which is that of this checkpoint. Leave it out, or"
            f" choose the layout yourself: layout={'buckets' if unknown[0] in own_options({}) else 'template'}."
        )
    made = read_layout("layout", {**values, **layout.given})
    assert isinstance(made, Layout)
    if found:
        return made, f"layout: {name}, by the checkpoint's {found[1]}"
    return made, (
        f"warning: nothing tells the format of this checkpoint ({checkpoint.model}), which is taken for {name}. If it"
        " was trained in another, its responses are worthless: choose layout=NAME (see `zsc ls`), or write your own"
        " with layout=template layout.text=TEXT."
    )


def trained_layout(folder: Path | None) -> dict[str, Any]:
    """Return the layout that a training has left in the ``folder`` of its model, if there is one."""
    file = folder / OWN_LAYOUT if folder is not None else None
    return stored_config(file) if file is not None and file.is_file() else {}


def own_options(values: dict[str, object]) -> set[str]:
    """Return the names of the options of a layout with ``values``."""
    kind: Any = LAYOUTS[str(values.get("form", "buckets"))]
    return {field.name for field in fields(kind) if field.init}


def with_tokens(decoding: Decoding, layout: Layout, loaded: Loaded) -> Decoding:
    """Return ``decoding`` with the numbers of the tokens that it forces, that of the target language among them, and
    the text at which it stops, that of the layout where it names none."""
    if is_causal(loaded.model):
        check_of_prompt(decoding)
    language = layout.first_token(loaded.target_tokenizer)
    if language is not None:
        check_trained(language, loaded)
    language = None if begun_by_decoder(language, loaded) else language
    first = token_number(decoding.forced_first, "decoding.forced_first", loaded)
    if language is not None and first not in (None, language):
        raise ZscError("decoding.forced_first and layout.target_language both name the first token: give one of them.")
    last = token_number(decoding.forced_last, "decoding.forced_last", loaded)
    stop = layout.stop if decoding.stop is None else decoding.stop
    return replace(decoding, forced_first=first if language is None else language, forced_last=last, stop=stop)


def begun_by_decoder(language: int | None, loaded: Loaded) -> bool:
    """Say whether the decoder starts from the token of the ``language``, as in mBART, so that responses need none.

    Raises ZscError if it starts from that of another one.
    """
    start = loaded.model.generation_config.decoder_start_token_id
    known = {index: code for code, index in language_tokens(loaded.target_tokenizer).items()}
    if language is not None and start in known and start != language:
        raise ZscError(
            f"layout.target_language={known[language]}: this checkpoint was tuned to translate to {known[start]} alone,"
            f" from which its decoder starts (decoder_start_token_id={start})."
        )
    return language is not None and start == language


def token_number(token: str | int | None, key: str, loaded: Loaded) -> int | None:
    """Return the number of ``token``, the value of the option ``key``. Raises ZscError if there is none."""
    if token is None:
        return None
    vocabulary = loaded.target_tokenizer.get_vocab()
    rows = loaded.model.get_output_embeddings().weight.shape[0]
    number = vocabulary.get(token) if isinstance(token, str) else token
    if number is None or not 0 <= number < rows:
        special = [str(one) for one in loaded.target_tokenizer.all_special_tokens]
        raise ZscError(
            f"{key}={token} is no token of this checkpoint's {rows}.{suggestion(str(token), list(vocabulary))} Special"
            f" ones: {', '.join(special[:12])}."
        )
    return number


def check_trained(token: int, loaded: Loaded) -> None:
    """Raise ZscError if the embedding of a language's ``token`` is all zeros: nothing was trained to begin with it."""
    rows = loaded.model.get_decoder().get_input_embeddings().weight
    if token >= rows.shape[0] or not bool(rows[token].any()):
        name = loaded.target_tokenizer.convert_ids_to_tokens(token)
        raise ZscError(f"the checkpoint was never trained with its language token {name}: choose another language.")
