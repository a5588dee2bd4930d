"""What an exported setting is: one JSON file with all that decides its responses, and a page about it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from zsc.data.layouts import AutoLayout, Layout, read_layout
from zsc.errors import ZscError, first_line
from zsc.generation.decoding import Decoding, PublishedDecoding, read_decoding
from zsc.options import plain, read
from zsc.study.options import different_seeds

FILE, CARD, MODEL, OTHER = "zsc_setting.json", "README.md", "model", "other"  # in the folder of a setting
FORMAT = 1
PLACE = "FOLDER"  # what a page calls the folder, for which a hub has a name
ASKED = {  # what a page gives, by the task
    "dialogue": {"history": '["Seen anything good?"]', "knowledge": '"Jaws is a film of 1975."'},
    "translation": {"source": '"The fair opens on Monday."'},
    "summarisation": {"document": '"The fair opens on Monday. Entry is free for children."'},
    "question_answering": {"question": '"When does it open?"', "context": '"The fair opens on Monday."'},
    "question_generation": {"context": '"The fair opens on Monday."', "focus": '"Monday"'},
}


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A model by its name, how it is loaded, and the hash of its files."""

    checkpoint: str
    decoder: str | None = None
    dtype: str = "float32"
    attention: str = "sdpa"
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Exported:
    """All that decides the responses of a ``setting``: its ``knobs`` with their values, control phrases as texts, and
    the second model of one that needs it; the ``model``; layout and decoding as they were settled for it; and ``seeds``
    of the run. ``versions``, the hash of the ``code`` and the kind of ``device`` are what they were made with."""

    setting: str
    task: str
    knobs: tuple[Mapping[str, Any], ...]
    model: ExportedModel
    layout: Annotated[Layout | AutoLayout, read_layout]
    decoding: Annotated[Decoding | PublishedDecoding, read_decoding]
    seeds: Annotated[tuple[int, ...], different_seeds]
    versions: Mapping[str, str]
    code: str
    device: str
    run: Mapping[str, Any]

    def text(self) -> str:
        """Return the content of its file."""
        content = {"format": FORMAT, **plain(self)}
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def on_hub(name: str) -> bool:
    """Say whether ``name`` has the form of one on the hub, ORG/NAME."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def read_exported(file: Path) -> Exported:
    """Return what is in ``file``. Raises ZscError for what is none, or of a format that this version does not know."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ZscError(
            f"{file} cannot be read ({first_line(error)}). `zsc export RUN to=FOLDER` writes one."
        ) from error
    if not isinstance(content, dict) or "format" not in content:
        raise ZscError(f"{file} is no exported setting: it has no format. `zsc export RUN to=FOLDER` writes one.")
    if (number := content.pop("format")) != FORMAT:
        raise ZscError(
            f"{file} has the format {number!r}, and this zsc reads {FORMAT} alone: use the version that wrote it."
        )
    try:
        return read(Exported, content)
    except ZscError as error:
        raise ZscError(f"{file} is no exported setting: {error}") from error


def card(exported: Exported, measured: Sequence[tuple[str, str, str]]) -> str:
    """Return the page that a hub shows: what the setting is, how it is used, and what was ``measured``, rows of a
    metric without knobs and under the setting."""
    model = exported.model
    named = on_hub(model.checkpoint)
    texts = ", ".join(f"{name}={value}" for name, value in ASKED.get(exported.task, ASKED["dialogue"]).items())
    versions = ", ".join(f"{name} {version}" for name, version in exported.versions.items())
    lines = [
        "---", "library_name: zsc", "tags:", "- zsc", *[f"base_model: {model.checkpoint}"] * named, "---",
        f"# {exported.setting}", "",
        f"A setting of zsc for the model `{model.checkpoint}` and the task {exported.task}: knobs that act while the"
        f" model generates, after [Hazarika et al., 2021](https://arxiv.org/abs/2106.06411). `{FILE}` holds all that"
        f" decides a response. The model's fingerprint is `{model.fingerprint[:12]}`; other weights are refused.",
        "", "```python", "import zsc", "", f'setting = zsc.load("{PLACE}")', f"print(setting.generate({texts}))", "```",
        "",
    ]  # fmt: skip
    if measured:
        setting = exported.setting.replace("|", "\\|")
        lines += [f"Measured on {exported.run.get('dataset')}:", "", f"| metric | off | {setting} |", "|---|---|---|"]
        lines += [*(f"| {name} | {off} | {on} |" for name, off, on in measured), ""]
    return "\n".join([*lines, f"Made with {versions}.", ""])
