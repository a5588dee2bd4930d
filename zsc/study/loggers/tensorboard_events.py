"""Event files of TensorBoard, written by torch's own writer."""

from dataclasses import dataclass
from pathlib import Path
from time import strftime
from typing import ClassVar

from zsc.install import check_installed
from zsc.study.loggers.logged import TABLE, Logged


@dataclass(frozen=True)
class TensorBoard:
    """A new folder below ``folder``, after the name of the run's, for each time it is logged. Files are not sent:
    TensorBoard keeps none but the table and config.yaml, as texts."""

    folder: str = "runs/.tensorboard"
    name: ClassVar[str] = "tensorboard"

    def check(self) -> None:
        check_installed("tensorboard", "tensorboard", "log=tensorboard")

    def log(self, run: Logged) -> str:
        """As :meth:`zsc.study.loggers.logged.Logger.log`."""
        from torch.utils.tensorboard import SummaryWriter

        place = free(Path(self.folder, run.name, strftime("%Y%m%d-%H%M%S")))
        texts = {TABLE: run.table, "tags": "\n".join(f"- {name}: `{value}`" for name, value in run.tags.items())}
        texts |= {
            file.name: f"```\n{file.read_text(encoding='utf-8')}```" for file in run.files if file.suffix == ".yaml"
        }
        with SummaryWriter(str(place)) as writer:
            writer.add_hparams(dict(run.parameters), dict(run.values), run_name=".")
            for name, text in texts.items():
                writer.add_text(name, text)
        return f"{place}; to see it: tensorboard --logdir {self.folder}"


def free(place: Path) -> Path:
    """Return ``place``, or one after it where something is there."""
    beside = (place.with_name(f"{place.name}-{number}") for number in range(2, 10**6))
    return place if not place.exists() else next(one for one in beside if not one.exists())
