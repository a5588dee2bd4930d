"""Find and read data files, with errors that say what to do."""

import json
import os
from pathlib import Path
from typing import Any

from zsc.errors import ZscError

DATA_VARIABLE = "ZSC_DATA"


def dataset_folder(name: str, path: str | None, fetch: str) -> Path:
    """Return where dataset ``name`` lies: ``path``, else the folder of that name in $ZSC_DATA.

    ``fetch`` says in one sentence what to download. Raises ZscError with it if no such folder exists.
    """
    root = os.environ.get(DATA_VARIABLE)
    folder = Path(path) if path else Path(root) / name if root else None
    if folder is None:
        raise ZscError(
            f"{name}: no data folder given. {fetch} Then set dataset.path=FOLDER, or {DATA_VARIABLE}=PARENT."
        )
    if not folder.is_dir():
        raise ZscError(f"{name}: no folder {folder}. {fetch} Then set dataset.path=FOLDER, or {DATA_VARIABLE}=PARENT.")
    return folder


def read_json(file: Path, fetch: str) -> Any:
    """Return the decoded JSON file. Raises ZscError if it is missing (with ``fetch``) or broken (with the line)."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ZscError(f"missing file {file}. {fetch}") from None
    except json.JSONDecodeError as error:
        raise ZscError(f"{file}, line {error.lineno}: not valid JSON ({error.msg}). Fetch the file again.") from None
    except UnicodeDecodeError as error:
        raise ZscError(f"{file}: not UTF-8 text ({error}). Fetch the file again.") from None
