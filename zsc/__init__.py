"""Control knobs for encoder-decoder language models, applied at generation time without training."""

__version__ = "0.1.0"
