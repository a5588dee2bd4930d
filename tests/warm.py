"""What the fork server does once when it imports this, so that no process forked from it does it again."""

import torch
from hydra.core.plugins import Plugins

from zsc.models.load import load_model

torch.set_num_threads(1)
Plugins.instance()  # looks for them in every package
load_model("mini", device="cpu")  # transformers compiles some hundred patterns for names of weights, once
