"""Find and read data files, with errors that say what to do."""

import json
import os
from pathlib import Path
from typing import Any

from zsc.data.card import load_card
from zsc.errors import ZscError

DATA_VARIABLE = "ZSC_DATA"


def dataset_folder(loader: str, path: str | None, fetch: str) -> Path:
    """Return where a dataset lies: ``path``, else the first folder of $ZSC_DATA that bears a name on its card.

    ``fetch`` says in one sentence what to download. Raises ZscError with it if no such folder exists.
    """
    root = os.environ.get(DATA_VARIABLE)
    names = load_card(loader).folders
    folders = [Path(str(path))] if path else [Path(root) / name for name in names] if root else []
    for folder in folders:
        if folder.is_dir():
            return folder
    looked = f"no folder {' or '.join(map(str, folders))}" if folders else "no data folder given"
    raise ZscError(f"{loader}: {looked}. {fetch} Then set dataset.path=FOLDER, or {DATA_VARIABLE}=PARENT.")


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
