"""Changes of the files of a checkpoint's folder, that leave it broken or another."""

import json

from safetensors.torch import load_file, save_file
from transformers import AutoConfig

WEIGHTS = "model.safetensors"


def tensors(change):
    """Return a change of a folder's weights: a mapping of tensors to another."""

    def apply(folder):
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})

    return apply


def prefixed(prefix):
    return tensors(lambda named: {prefix + name: tensor for name, tensor in named.items()})


def without(*names):
    return tensors(lambda named: {name: tensor for name, tensor in named.items() if name not in names})


def valued(name, value):
    def change(named):
        named[name].view(-1)[3] = value
        return named

    return tensors(change)


def settings(file, **given):
    """Return a change of fields of a JSON file; ``...`` takes one out."""

    def apply(folder):
        content = json.loads((folder / file).read_text()) | given
        (folder / file).write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return apply


def token_ids(**given):
    def apply(folder):
        settings("config.json", **given)(folder)
        settings("generation_config.json", **{key: value or ... for key, value in given.items()})(folder)

    return apply


def content(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def saved_as(kind, **given):
    """Return a change to what another class of the family saves, with a config that hides it."""

    def apply(folder):
        kind(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
        settings("config.json", is_encoder_decoder=True, is_decoder=False, **given)(folder)

    return apply
