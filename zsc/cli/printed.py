"""How what a run found is printed on stdout, by the commands that score one."""

from zsc.study.options import RunOptions, ScoreOptions
from zsc.study.result import Result
from zsc.terminal import screen, show


def print_result(result: Result, options: RunOptions | ScoreOptions) -> None:
    """Print ``result`` in words, with examples, above its table, or in another format than that the table alone."""
    if options.format == "table":
        show(result.page(options.examples, screen()))
    else:
        print(result.render(options.format))
