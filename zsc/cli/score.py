"""`zsc score`: score a finished run again, or the responses of other systems."""

from pathlib import Path

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.cli.printed import print_result
from zsc.study.options import ScoreOptions
from zsc.study.score import score as perform
from zsc.study.watch import Terminal


def score(cfg: DictConfig) -> None:
    """Score the run or file that ``cfg`` (configs/score.yaml) names, and print what it found on stdout, as ``zsc run``
    does."""
    options, watch = options_of(ScoreOptions, cfg), Terminal()
    result = perform(options, watch)
    print_result(result, options)
    if Path(options.run).is_file():
        watch.say(f"run: {result.folder.path}")
