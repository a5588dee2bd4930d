"""What the files of a checkpoint must be before a library reads them: whole, readable, and no code."""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from zsc.errors import ZscError, first_line
from zsc.models.files import BIN, SAFETENSORS, deciding_files
from zsc.models.local import GGUF

POINTER = b"version https://git-lfs"
PAGES = (b"<!doctype", b"<html", b"<?xml")
OBJECTS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
           "tokenizer.json", "model.safetensors.index.json", "pytorch_model.bin.index.json")  # fmt: skip


def check_files(folder: Path, what: str) -> None:
    """Raise ZscError, naming the file, if one that decides what the checkpoint in ``folder`` does cannot be what it
    should be: empty, a web page or the pointer to a large file in its place, JSON that is none, an index of files that
    are not there, an adapter; or if it names code of the checkpoint's own."""
    if (folder / "adapter_config.json").exists():
        raise ZscError(f"{what} is an adapter (adapter_config.json): merge it into its model, and save that.")
    try:
        for file in deciding_files(folder):
            check_beginning(file, what)
            if file.suffix == ".json":
                _check_json(file, what)
    except OSError as error:
        raise ZscError(f"{what}: its folder cannot be read ({error.strerror or error}).") from error


def check_beginning(file: Path, what: str) -> None:
    """Raise ZscError if ``file`` cannot be read, is empty, or begins like what is not a file of a checkpoint."""
    try:
        with file.open("rb") as handle:
            begins = handle.read(256).lstrip().lower()
    except OSError as error:
        raise ZscError(f"{what}: {file.name} cannot be read ({error.strerror or error}).") from error
    if not begins:
        raise ZscError(f"{what}: {file.name} is empty. Fetch it again.")
    if begins.startswith(POINTER):
        raise ZscError(f"{what}: {file.name} is a pointer to a large file, not the file. Run `git lfs pull` there.")
    if begins.startswith(PAGES):
        raise ZscError(f"{what}: {file.name} is a web page, not what its name says. Fetch it again.")
    if file.suffix == GGUF and not begins.startswith(b"gguf"):
        raise ZscError(f"{what}: {file.name} is no GGUF file, which begins with these letters. Fetch it again.")


def _check_json(file: Path, what: str) -> None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ZscError(f"{what}: {file.name} is no valid JSON ({first_line(error)}). Fetch it again.") from error
    if file.name in OBJECTS and not isinstance(found, dict):
        raise ZscError(f"{what}: {file.name} must hold an object, not {type(found).__name__}. Fetch it again.")
    if file.name in ("config.json", "tokenizer_config.json"):
        _check_config(file.name, found, what)
    if file.name.endswith(".index.json"):
        shards = found.get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ZscError(f"{what}: {file.name} has no weight_map, which says where tensors lie. Fetch it again.")
        for shard in dict.fromkeys(map(str, shards.values())):
            if (not fnmatch(shard, SAFETENSORS) and not fnmatch(shard, BIN)) or "/" in shard:
                raise ZscError(f"{what}: {file.name} names {shard}, which is no {SAFETENSORS} or {BIN} beside it.")
            if not (file.parent / shard).is_file():
                raise ZscError(f"{what}: there is no {shard}, which {file.name} names. Fetch it again.")


def _check_config(name: str, found: dict[str, Any], what: str) -> None:
    if code := found.get("auto_map"):
        named = next(iter(code.values()), "") if isinstance(code, dict) else code
        raise ZscError(
            f"{what}: {name} names Python code of the checkpoint's own (auto_map: {named}), and zsc runs no"
            " checkpoint's code."
        )
    if other := found.get("transformers_weights"):
        raise ZscError(f"{what}: {name} names other weights ({other}) than model.safetensors: save it again without.")
