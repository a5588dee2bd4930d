"""The checkpoint of a judge: where it lies, and what identifies its weights."""

import hashlib
from pathlib import Path

import torch

from zsc.errors import ZscError
from zsc.models.files import find_checkpoint
from zsc.models.intact import check_files


def fingerprint(model: torch.nn.Module) -> str:
    """Return the first 12 digits of the SHA-256 over the names and bytes of a model's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]


def find_judge(what: str, name: str, kind: str) -> Path:
    """Return the folder of the checkpoint ``name`` of a ``kind``. Raises ZscError, which begins with ``what``, if it
    cannot be had or its files are not whole."""
    try:
        folder = find_checkpoint(name)
    except ZscError as error:
        raise ZscError(f"{what} cannot be loaded as {kind}: {error}") from error
    check_files(folder, what)
    return folder
