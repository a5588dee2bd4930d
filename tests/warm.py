"""What the fork server does once when it imports this, so that no process forked from it does it again."""

import pkgutil
from importlib import import_module

import torch
import transformers.models.bart.modeling_bart  # noqa: F401
from hydra.core.plugins import Plugins

import zsc
from zsc.models.load import load_model

torch.set_num_threads(1)
for module in pkgutil.walk_packages(zsc.__path__, "zsc."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
Plugins.instance()  # looks for them in every package
load_model("mini", device="cpu")  # transformers compiles some hundred patterns for names of weights, once
