"""Which dataset, and what of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zsc.data import DATASETS, load_records
from zsc.data.record import Record
from zsc.errors import ZscError, suggestion
from zsc.options import Count, read_arguments, value_of


@dataclass(frozen=True)
class DatasetOptions:
    """``own`` are the arguments of the ``loader``, a name in :data:`zsc.data.DATASETS`; ``limit`` keeps a fixed random
    sample of so many records."""

    loader: str = "parlor"
    limit: int | None = None
    own: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, values: Any, at: str) -> "DatasetOptions":
        """Read a config of the group dataset. Raises ZscError for what the loader does not take."""
        if not isinstance(values, Mapping):
            raise ZscError(f"{at}={values}: its options have names, such as {at}.loader.")
        given = dict(values)
        loader, limit = given.pop("loader", None), given.pop("limit", None)
        if loader not in DATASETS:
            known = ", ".join(DATASETS)
            raise ZscError(f"no dataset loader '{loader}'.{suggestion(str(loader), DATASETS)} Known: {known}.")
        limit = value_of(Count, limit, f"{at}.limit") if limit is not None else None
        return cls(loader, limit, read_arguments(DATASETS[loader], given, at))

    def to_mapping(self) -> dict[str, Any]:
        return {"loader": self.loader, **self.own, "limit": self.limit}

    def load(self) -> list[Record]:
        """Return the records. Raises ZscError if they cannot be had."""
        return load_records(self.loader, self.limit, **self.own)

    @property
    def path(self) -> str | None:
        """The folder or file that the user names, if any."""
        path = self.own.get("path")
        return None if path is None else str(path)
