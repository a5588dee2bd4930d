"""How well a denoising decoder copies: python scripts/reconstruction.py TEXT [MODEL_OPTION=VALUE ...]

Gives the first 500 sentences of TEXT that hold 8 to 25 tokens, uncorrupted, to mini's denoising decoder and prints
corpus BLEU and the share returned exactly.
"""

import sys
from itertools import islice
from pathlib import Path

from zsc.data.text import check_text, read_documents, split_sentences
from zsc.models.load import load_model
from zsc.training.callbacks import reconstruct, reconstruction_bleu

SENTENCES = 500
TOKENS = range(8, 26)


def main(text: Path, options: dict[str, str]) -> None:
    loaded = load_model(**({"checkpoint": "mini", "decoder": "denoiser.safetensors"} | options))
    sentences = (s for document in read_documents(check_text(text)) for s in split_sentences(document))
    encoded = (loaded.tokenizer(s, add_special_tokens=False)["input_ids"] for s in sentences)
    segments = list(islice((ids for ids in encoded if len(ids) in TOKENS), SENTENCES))
    outputs, originals = reconstruct(loaded.model, loaded.tokenizer, segments)
    exact = sum(a == b for a, b in zip(outputs, originals, strict=True)) / len(segments)
    print(f"{len(segments)} sentences: BLEU {reconstruction_bleu(outputs, originals):.1f}, exact {exact:.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:]))
