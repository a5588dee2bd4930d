"""The parameters of an encoder-decoder, or of a causal language model like its decoder, divided into components [D].

Each parameter belongs to exactly one, so that counts add up and freezing two components freezes nothing twice:

``embeddings``
    every embedding outside the layers (tokens, positions, segments), with whatever is tied to one, such as most output
    projections.
``encoder``
    all else in the encoder: its attentions with their relative position biases, feed-forwards and layer norms; also
    the projection of its states to a decoder of another width, since decoders mix if they read the same states.
``self_attention``, ``cross_attention``, ``feed_forward``
    the modules of these names in the decoder layers, whole: a relative position bias (T5) and a layer norm inside the
    module (BERT) go along. ``self_attention`` is thus what the knob ``swap`` replaces. T5Gemma 2 attends to its past
    and the source in one module, which counts as ``self_attention``.
``norms``
    the decoder's layer norms outside these modules (BART, T5), also those behind embeddings and the last layer.
``output``
    what turns decoder states into tokens and is not tied to an embedding.
"""

from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from zsc.knobs.anatomy import COMPONENTS, UnsupportedModel, decoder_layers, layer_list, merges_attention

ALL_COMPONENTS = ("embeddings", "encoder", *COMPONENTS, "norms", "output")


def components(model: PreTrainedModel) -> dict[str, dict[str, nn.Parameter]]:
    """Return the parameters of each component that ``model`` has, by name inside the model.

    Raises UnsupportedModel for a parameter of the decoder that fits nowhere.
    """
    owners: dict[nn.Parameter, str] = {}

    def claim(component: str, modules: Iterable[nn.Module]) -> None:
        for module in modules:
            for parameter in module.parameters():
                owners.setdefault(parameter, component)

    decoder = model.get_decoder()
    stack = decoder.base_model if isinstance(decoder, PreTrainedModel) else decoder
    parts = [name for name in COMPONENTS if name != "cross_attention" or not merges_attention(model)]
    claim("embeddings", embeddings(model))
    claim("encoder", encoders(model))
    claim("encoder", [module for name, module in model.named_children() if name == "enc_to_dec_proj"])
    for layer in decoder_layers(model):
        for component in parts:
            claim(component, (module for _, module in layer.modules(component)))
    claim("norms", filter(is_norm, stack.modules()))
    for name, parameter in stack.named_parameters():
        if parameter not in owners:
            raise UnsupportedModel(
                f"{name} in the decoder of {type(model).__name__} belongs to no component known here."
            )
    claim("output", [model])
    found: dict[str, dict[str, nn.Parameter]] = {component: {} for component in ALL_COMPONENTS}
    for name, parameter in model.named_parameters():
        found[owners[parameter]][name] = parameter
    return {component: parameters for component, parameters in found.items() if parameters}


def embeddings(model: PreTrainedModel) -> list[nn.Embedding]:
    """Return the embeddings outside the encoder's and the decoder's layers."""
    stacks = [*encoders(model), model.get_decoder()]
    inside = {module for stack in stacks for module in layer_list(stack)[1].modules()}
    return [module for module in model.modules() if isinstance(module, nn.Embedding) and module not in inside]


def encoders(model: PreTrainedModel) -> list[nn.Module]:
    """Return the encoder of ``model``; a causal language model has none."""
    return [model.get_encoder()] if model.config.is_encoder_decoder else []


def is_norm(module: nn.Module) -> bool:
    """Say whether ``module`` is a layer norm of torch or of a model family, such as T5LayerNorm."""
    return type(module).__name__.endswith("Norm")
