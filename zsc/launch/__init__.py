"""Launching workers, by processes of this machine or by the engines of clusters: a plain library.

A worker is a command, the same for all, that takes what is to be done from a store which they share.
"""

from zsc.launch.local import Local
from zsc.launch.ray_tasks import Ray
from zsc.launch.slurm import Slurm
from zsc.launch.workers import Launcher

__all__ = ["LAUNCHERS", "Launcher"]


LAUNCHERS: dict[str, type[Launcher]] = {
    "local": Local,
    "slurm": Slurm,
    "ray": Ray,
}
