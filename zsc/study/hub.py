"""Exported settings on the hub."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download

from zsc.errors import ZscError, first_line
from zsc.study.exported import CARD, FILE, MODEL, OTHER, PLACE, on_hub

PARTS = (FILE, CARD, f"{MODEL}/*", f"{OTHER}/*")  # of a setting's folder


def fetched(folder: str | Path, revision: str | None = None, without: Sequence[str] = ()) -> Path:
    """Return ``folder``, or that of the hub's repository of this name, ``without`` some of its folders.

    Raises ZscError where neither holds an exported setting.
    """
    if (place := Path(folder)).is_dir() or not on_hub(str(folder)):
        if not (place / FILE).is_file():
            raise ZscError(f"{folder} holds no {FILE}. `zsc export RUN to=FOLDER` makes such a folder.")
        return place
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    patterns = [part for part in PARTS if part.split("/")[0] not in without]
    try:
        place = Path(snapshot_download(str(folder), revision=revision, allow_patterns=patterns))
    except Exception as error:  # each HTTP library has errors of its own
        raise ZscError(
            f"setting '{folder}' is neither a folder nor in the cache, and the hub did not give it"
            f" ({first_line(error)})."
        ) from error
    if not (place / FILE).is_file():
        raise ZscError(f"the repository {folder} holds no {FILE}: it is no setting that zsc has exported.")
    return place


def pushed(folder: Path, repo: str, **options: Any) -> str:
    """Upload the setting in ``folder`` to the hub as ``repo``; return its address. Raises ZscError if that fails."""
    api, token = HfApi(), options.pop("token", None)
    try:
        url = api.create_repo(repo, exist_ok=True, token=token, **options)
        page = (folder / CARD).read_text(encoding="utf-8").replace(f'zsc.load("{PLACE}")', f'zsc.load("{url.repo_id}")')
        others = [file for part in (FILE, f"{MODEL}/**/*", f"{OTHER}/**/*") for file in sorted(folder.glob(part))]
        added = {CARD: page.encode()} | {str(one.relative_to(folder)): one for one in others if one.is_file()}
        operations = [CommitOperationAdd(name, content) for name, content in added.items()]
        api.create_commit(url.repo_id, operations, commit_message="A setting of zsc", token=token)
    except Exception as error:  # each HTTP library has errors of its own
        raise ZscError(f"the setting could not be pushed to {repo} ({first_line(error)}).") from error
    return str(url)
