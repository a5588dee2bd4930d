"""Which model, and how it is loaded."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelOptions:
    """``checkpoint``: an embedded name, a folder or a hub name; ``decoder``: a file of weights in its folder that
    replace those of its decoder."""

    checkpoint: str = "mini"
    decoder: str | None = None
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = "float32"
    attention: Literal["sdpa", "eager"] = "sdpa"
