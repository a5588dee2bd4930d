"""`zsc play`: turn knobs by hand on a page in the browser."""

from omegaconf import DictConfig

from zsc.cli.compose import job_words, options_of
from zsc.study.play.options import PlayOptions
from zsc.study.play.serve import serve
from zsc.study.watch import Terminal


def play(cfg: DictConfig) -> None:
    """Serve the page that ``cfg`` (configs/play.yaml) asks for until it is interrupted."""
    serve(options_of(PlayOptions, cfg), job_words(("launcher", "workers")), Terminal())
