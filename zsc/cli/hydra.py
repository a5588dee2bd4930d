"""Hand a command's arguments to Hydra, which composes the config and calls the command once per job."""

import sys

import hydra
from omegaconf import DictConfig

from zsc.cli.configs import CONFIGS, check_overrides, expand, split_arguments
from zsc.errors import ZscError


def launch(command: str, arguments: list[str]) -> None:
    """Check ``arguments`` and run ``command`` (a key of JOBS) on every config they compose."""
    flags, overrides = split_arguments(arguments)
    overrides = expand(overrides)
    check_overrides(command, flags, overrides)
    sys.argv = [f"zsc {command}", *flags, *overrides]
    hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=command)(JOBS[command])()


def run_job(cfg: DictConfig) -> None:
    from zsc.cli.run import run

    _report(run, cfg)


def sweep_job(cfg: DictConfig) -> None:
    from zsc.cli.run import sweep

    _report(sweep, cfg)


def plan_job(cfg: DictConfig) -> None:
    from zsc.cli.plan import plan

    _report(plan, cfg)


def train_job(cfg: DictConfig) -> None:
    from zsc.cli.train import run

    _report(run, cfg)


def bench_job(cfg: DictConfig) -> None:
    from zsc.cli.bench import bench

    _report(bench, cfg)


def data_job(cfg: DictConfig) -> None:
    from zsc.cli.data import data

    _report(data, cfg)


def doctor_job(cfg: DictConfig) -> None:
    from zsc.cli.doctor import doctor

    _report(doctor, cfg)


def _report(job, cfg: DictConfig) -> None:  # type: ignore[no-untyped-def]
    """Run ``job``; its ZscError must not reach Hydra, which would bury it in a trace."""
    try:
        job(cfg)
    except ZscError as error:
        print(f"zsc: {error}", file=sys.stderr)
        raise SystemExit(error.code) from None


JOBS = {
    "run": run_job,
    "sweep": sweep_job,
    "plan": plan_job,
    "train": train_job,
    "bench": bench_job,
    "data": data_job,
    "doctor": doctor_job,
}
