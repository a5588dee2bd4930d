"""`zsc train`: pre-train or fine-tune, with chosen parts frozen."""

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.study.train import train as perform
from zsc.study.watch import Terminal
from zsc.training.options import TrainOptions


def train(cfg: DictConfig) -> None:
    """Train as ``cfg`` (configs/train.yaml) says and print where the model lies."""
    print(perform(options_of(TrainOptions, cfg), Terminal()))
