"""What a training will change: weights by component, and what shares of them train."""

from typing import Any

from transformers import PreTrainedModel

from zsc.knobs.components import components


def weight_shares(model: PreTrainedModel) -> dict[str, Any]:
    """Count the weights of ``model`` and those that train.

    ``components`` has a row each; ``all`` and ``without_embeddings`` are sums of rows. In every row, ``share`` is
    trained weights of the row / weights of the row.
    """
    counts = {
        name: (sum(p.numel() for p in parts.values()), sum(p.numel() for p in parts.values() if p.requires_grad))
        for name, parts in components(model).items()
    }
    bare = [count for name, count in counts.items() if name != "embeddings"]
    return {
        "components": {name: _row(*count) for name, count in counts.items()},
        "all": _row(*map(sum, zip(*counts.values(), strict=True))),
        "without_embeddings": _row(*map(sum, zip(*bare, strict=True))),
    }


def _row(weights: int, trained: int) -> dict[str, Any]:
    return {"weights": weights, "trained": trained, "share": trained / weights}


def share_rows(shares: dict[str, Any]) -> list[dict[str, str]]:
    """Return ``shares`` as rows of a table."""
    rows = {**shares["components"], "all": shares["all"], "without embeddings": shares["without_embeddings"]}
    return [
        {
            "component": name,
            "weights": f"{row['weights']:,}",
            "trained": f"{row['trained']:,}",
            "trained / weights": f"{row['share']:.1%}",
            "state": _state(row),
        }
        for name, row in rows.items()
    ]


def _state(row: dict[str, Any]) -> str:
    if row["trained"] in (0, row["weights"]):
        return "trained" if row["trained"] else "frozen"
    return "in part"


def describe_shares(shares: dict[str, Any]) -> str:
    """Say how many weights train, as a share of all and of all without the embeddings."""
    every, bare = shares["all"], shares["without_embeddings"]
    return (
        f"training {every['trained']:,} of {every['weights']:,} weights ({every['share']:.1%});"
        f" without embeddings {bare['trained']:,} of {bare['weights']:,} ({bare['share']:.1%})"
    )
