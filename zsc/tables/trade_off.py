"""What is said of the best trade-off of a group of runs."""

from zsc.metrics.score import difference
from zsc.tables.compared import Group
from zsc.tables.render import ALPHA, number

BESIDE = ("knowledge_copied_run", "novelty")  # what is said beside control and fluency: what a gain is made of


def verdict(group: Group) -> str:
    """Say in a sentence which trade-off is the best."""
    found = group.frontier
    if found.nearest is None:
        return f"There is nothing to compare with {found.off}: no other setting has a value of both metrics."
    if found.best is None:
        return f"No setting is a better trade-off than {found.off}; the nearest is {found.nearest}."
    off, best = found.find(found.off), found.find(found.best)
    assert best is not None
    changes = [
        f"{metric} {number(None if off is None else getattr(off, kind).value, '')} →"
        f" {number(getattr(best, kind).value, '')}"
        for kind, metric in (("control", group.control), ("fluency", group.fluency))
    ]
    return " ".join(filter(None, [f"The best trade-off is {found.best}: {', '.join(changes)}.", beside(group)]))


def beside(group: Group) -> str:
    """Say in a sentence what copying and novelty did from the model without knobs to the best trade-off, as far as they
    were scored and are not what is compared; a change that is not significant is called so."""
    off, best = group.frontier.off, str(group.frontier.best)
    run, said = group.holder(best), []
    for metric in BESIDE:
        values = [run.scores.get((name, metric)) for name in (run.settings[0], best)]
        moved = run.scores.get((difference(best, run.settings), metric))
        if metric in (group.control, group.fluency) or moved is None or moved.value is None:
            continue
        numbers = " → ".join(number(None if row is None else row.value, "") for row in values)
        significant = moved.p_holm is not None and moved.p_holm < ALPHA
        how = ("rises" if moved.value > 0 else "falls") if significant else "does not change significantly,"
        said.append(f"{metric} {how} {numbers}")
    return f"From {off} to it, {' and '.join(said)}." if said else ""
