"""`zsc run` and `zsc sweep`: generate with knobs off and on over the same examples, and score."""

from omegaconf import DictConfig

from zsc.cli.compose import command_line, options_of, resolved
from zsc.cli.launch import launched
from zsc.cli.log import logger_of
from zsc.cli.printed import print_result
from zsc.cli.work import work
from zsc.errors import ZscError
from zsc.study.crew import rank
from zsc.study.loggers import send
from zsc.study.options import RunOptions
from zsc.study.run import run as perform
from zsc.study.watch import Terminal
from zsc.terminal import say


def run(cfg: DictConfig) -> None:
    """Run what ``cfg`` (configs/run.yaml) says, and print what it found on stdout, unless workers go on by themselves:
    in words, examples, and the table.

    Of processes that were started together, as by torchrun, the first does, and the others are workers.
    """
    options = options_of(RunOptions, cfg)
    if rank():
        work(cfg)
        return
    logger = logger_of(resolved(cfg))
    if launched(cfg):
        return
    result = perform(options, Terminal(), command=command_line())
    print_result(result, options)
    where = f"run: {result.folder.path}"
    if options.format == "table":
        print(f"\n{where}")
    else:
        say(where)
    if logger is not None:
        say(send(logger, result))


def sweep(cfg: DictConfig) -> None:
    """As :func:`run`, of several settings. Raises ZscError if ``cfg`` lists none."""
    from zsc.study.knobs import count_settings

    if count_settings(options_of(RunOptions, cfg).knob) < 2:
        raise ZscError("a sweep needs several values of a knob's field, such as knob.strength=[1,2,5].")
    run(cfg)
