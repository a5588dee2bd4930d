"""Pack trained checkpoints as the embedded model: python scripts/pack_mini.py DIALOGUE DENOISER [OUT]

DIALOGUE and DENOISER are folders made by `zsc train` that share their encoder and embeddings. OUT (the package's
zsc/models/mini) gets the dialogue model and tokenizer as a Hugging Face checkpoint, and denoiser.safetensors, the
tensors of the denoising decoder that differ, all in half precision.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from zsc.models.local import EMBEDDED

MAX_BYTES = 48_000_000


def main(dialogue: Path, denoiser: Path, out: Path) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(dialogue, dtype=torch.float32)
    other = AutoModelForSeq2SeqLM.from_pretrained(denoiser, dtype=torch.float32)
    mine, theirs = model.state_dict(), other.state_dict()
    prefix = "model.decoder."
    differing = {name for name in mine if not torch.equal(mine[name], theirs[name])}
    foreign = [name for name in differing if not name.startswith(prefix)]
    if foreign:
        raise SystemExit(f"the two checkpoints do not share their encoder and embeddings: {foreign[0]} differs")
    out.mkdir(parents=True, exist_ok=True)
    decoder = {name.removeprefix(prefix): theirs[name].half().contiguous() for name in sorted(differing)}
    save_file(decoder, out / "denoiser.safetensors", metadata={"format": "pt"})
    model.config.use_cache = True  # training had switched it off
    model.half().save_pretrained(out)
    AutoTokenizer.from_pretrained(dialogue).save_pretrained(out)
    total = sum(file.stat().st_size for file in out.iterdir())
    if total > MAX_BYTES:
        raise SystemExit(f"{out} holds {total} bytes, more than {MAX_BYTES}")
    print(f"{out}: {total / 1e6:.1f} MB, {len(decoder)} tensors of the denoising decoder")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else EMBEDDED["mini"])
