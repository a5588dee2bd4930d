"""Sending scored runs to trackers of experiments. A line here, a file beside it and one in configs/log make a new
one."""

from zsc.study.loggers.logged import Logger, send
from zsc.study.loggers.mlflow_run import MLflow
from zsc.study.loggers.tensorboard_events import TensorBoard
from zsc.study.loggers.wandb_run import WandB

__all__ = ["LOGGERS", "Logger", "send"]

LOGGERS: dict[str, type[Logger]] = {
    "mlflow": MLflow,
    "tensorboard": TensorBoard,
    "wandb": WandB,
}
