"""Runs of MLflow, where MLFLOW_TRACKING_URI says, or where MLflow takes them itself."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from zsc.install import check_installed
from zsc.study.loggers.logged import TABLE, Logged

DATABASES = ("sqlite", "mysql", "postgresql", "mssql")  # schemes of stores that are reached by SQLAlchemy


@dataclass(frozen=True)
class MLflow:
    """A run of the ``experiment``; None leaves that to MLFLOW_EXPERIMENT_NAME, or to MLflow."""

    experiment: str | None = None
    name: ClassVar[str] = "mlflow"

    def check(self) -> None:
        check_installed("mlflow-skinny", "mlflow", "log=mlflow")
        import mlflow

        uri = mlflow.get_tracking_uri()
        if urlsplit(uri).scheme.partition("+")[0] in DATABASES:
            for package in ("sqlalchemy", "alembic"):
                check_installed(package, "mlflow", f"log=mlflow to {uri.partition(':')[0]}")

    def log(self, run: Logged) -> str:
        """As :meth:`zsc.study.loggers.logged.Logger.log`."""
        import mlflow

        identity = None
        if self.experiment is not None:
            found = mlflow.get_experiment_by_name(self.experiment)
            identity = found.experiment_id if found else mlflow.create_experiment(self.experiment)
        with mlflow.start_run(experiment_id=identity, run_name=run.name, tags=dict(run.tags)) as own:
            mlflow.log_params(dict(run.parameters))
            mlflow.log_metrics(dict(run.values))
            mlflow.log_text(run.table, TABLE)
            for file in run.files:
                mlflow.log_artifact(str(file))
        return f"MLflow run {own.info.run_id} of {mlflow.get_tracking_uri()}"
