"""Hooks of MkDocs (see mkdocs.yml): what the site has beyond the pages of docs/.

Files elsewhere in the project that pages link to, such as results/README.md, become pages or files of the site, at
their own paths; folders become lists of what they hold. Notebooks become pages, and the options of all commands and all
choices of the config groups, are written from configs/.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zsc.cli.groups import group_options
from zsc.cli.help import COMMANDS, Option, head, headline, options_of
from zsc.configs import CONFIGS

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"(^```.*?^```[^\n]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()([^)\s#]*)(#[^)\s]*)?(?=\))")
ROLE = re.compile(r":(?:class|func|data|mod|meth):(?=<)")
GROUPS = {
    "knob": "Knobs",
    "task": "Tasks",
    "model": "Models",
    "dataset": "Datasets",
    "layout": "Layouts",
    "decoding": "Decoding",
    "table": "Tables",
    "objective": "Objectives of training",
    "launcher": "Launchers",
    "log": "Trackers of experiments",
}
LISTED = ("", ".md", ".csv", ".html")  # of a folder, beside folders in it
SHOWN = ("knob", "decoding", "dataset", "model", "objective", "launcher", "log")  # whose options stand beside names


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the target and the anchor of every link in a page to a file or a heading of the project."""
    for place, part in enumerate(CODE.split(text)):
        for found in LINK.finditer(part) if place % 2 == 0 else ():
            if not re.match(r"[a-z]+:", found[1]):
                yield found[1], found[2] or ""


def address(path: str) -> str:
    """Return where a file of the project, by its ``path``, is in the site."""
    path = {"README.md": "docs/index.md"}.get(path, path).removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{path}/README.md" if (ROOT / path / "README.md").is_file() else f"{path}/index.md"
    return re.sub(r"\.ipynb$", ".md", path)


def origin(uri: str) -> str:
    """Return the path in the project of what is at ``uri`` in the site."""
    for path in (f"docs/{uri}", f"docs/{uri.removesuffix('.md')}.ipynb"):
        if (ROOT / path).is_file():
            return path
    return uri


def linked(path: str, text: str) -> set[str]:
    """Return the paths of what the page at ``path`` links to."""
    here = posixpath.dirname(path)
    return {posixpath.normpath(posixpath.join(here, target)) for target, _ in links(text) if target}


def moved(uri: str, text: str) -> str:
    """Return the page at ``uri`` of the site with links to where things are there."""
    here, there = posixpath.dirname(origin(uri)), posixpath.dirname(uri) or "."

    def place(found: re.Match[str]) -> str:
        if not found[1] or re.match(r"[a-z]+:", found[1]):
            return found[0]
        target = address(posixpath.normpath(posixpath.join(here, found[1])))
        return posixpath.relpath(target, there) + (found[2] or "")

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(place, part) for number, part in enumerate(parts))


def content(path: str) -> str:
    """Return the page that a file or folder of the project becomes."""
    file = ROOT / path
    file = file / "README.md" if (file / "README.md").is_file() else file
    if file.is_dir():
        names = sorted(one.name for one in file.iterdir() if one.suffix in LISTED)
        return f"# {path}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    text = file.read_text(encoding="utf-8")
    return notebook(json.loads(text)) if path.endswith(".ipynb") else text


def notebook(given: dict[str, Any]) -> str:
    """Return a notebook as Markdown, with the outputs that are stored in it."""
    parts = []
    for cell in given["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                parts.append(f"![Output](data:image/png;base64,{''.join(data['image/png']).strip()})")
            else:
                parts.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def options_page() -> str:
    """Return the page of all commands with their options."""
    parts = ["# Every option", "Made from `configs/`, as `zsc COMMAND --help` is. [Every choice](choices.md) lists what"
             " `knob=`, `dataset=`, `layout=` and their like may be, with the options of each."]  # fmt: skip
    for command in COMMANDS:
        _, _, *text = head(CONFIGS / f"{command}.yaml")
        parts += [f"## zsc {command}", f"{capital(headline(command))}.", described(text)]
        if options := options_of(command):
            parts.append(table(options))
    return "\n\n".join(parts) + "\n"


def choices_page() -> str:
    """Return the page of all choices of the config groups."""
    parts = ["# Every choice", "Made from `configs/`; `zsc ls` prints the same, and those of a folder of your own with"
             " `--config-dir FOLDER`."]  # fmt: skip
    for group, title in GROUPS.items():
        parts += [f"## {title}", f"`{group}=NAME`"]
        if group not in SHOWN:
            rows = [f"| `{name}` | {escaped(' '.join(comment(group, name)))} |" for name in group_options(group)]
            parts.append("\n".join([f"| {group} | |", "|---|---|", *rows]))
            continue
        for name in group_options(group):
            own = [one for one in options_of(f"{group}/{name}") if one.name not in ("name", "loader")]
            parts += [f"### {group}={name}", described(comment(group, name))]
            parts += [table([one._replace(name=f"{group}.{one.name}") for one in own])] if own else []
    return "\n\n".join(parts) + "\n"


def comment(group: str, name: str) -> list[str]:
    """Return the comment that a choice begins with, past what Hydra reads."""
    return [line for line in head(CONFIGS / group / f"{name}.yaml") if not line.startswith("@")]


def described(lines: list[str]) -> str:
    """Return the comment at the head of a config as Markdown: usage and examples are code."""
    parts, code = [""], False
    for line in lines:
        is_code = line.startswith(("  ", "usage:"))
        if is_code != code:
            parts += ["```\n" if code else "", "```text\n" if is_code else ""]
        parts.append((line.removeprefix("  ") if is_code else escaped(line)) + "\n")
        code = is_code
    return "".join([*parts, "```\n" if code else ""]).strip("\n")


def table(options: list[Option]) -> str:
    """Return options as a table: their names, values and comments."""
    values = [escaped(f"`{one.value}`") if one.value else "" for one in options]
    rows = [f"| `{one.name}` | {value} | {escaped(one.says)} |" for one, value in zip(options, values, strict=True)]
    return "\n".join(["| option | default | what |", "|---|---|---|", *rows])


def escaped(text: str) -> str:
    """Return ``text`` for a table of Markdown, its code as it stands."""
    parts = text.replace("|", "\\|").split("`")
    plain = [re.sub(r"([*\[\]])", r"\\\1", part).replace("<", "&lt;") for part in parts]
    return "`".join(part if place % 2 else plain[place] for place, part in enumerate(parts))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


PAGES = {"options.md": options_page, "choices.md": choices_page}  # in docs/reference


def on_files(files: Any, config: Any) -> Any:
    """Add to the ``files`` of the site what its pages link to, notebooks as pages, and the generated pages."""
    from mkdocs.structure.files import File

    for name, written in PAGES.items():
        files.append(File.generated(config, f"reference/{name}", content=written()))
    for file in [one for one in files if one.src_uri.endswith(".ipynb")]:
        files.remove(file)
        files.append(File.generated(config, address(file.src_uri), content=content(f"docs/{file.src_uri}")))
    waiting = [(origin(one.src_uri), one.content_string) for one in files if one.src_uri.endswith(".md")]
    known = {one.src_uri for one in files}
    while waiting:
        for path in linked(*waiting.pop()):
            uri = address(path)
            if uri in known or path.startswith((".", "docs/")) or not (ROOT / path).exists():
                continue
            known.add(uri)
            if uri.endswith(".md"):
                waiting.append((path if (ROOT / path).is_file() else uri, content(path)))
                files.append(File.generated(config, uri, content=content(path)))
            else:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return moved(page.file.src_uri, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Take the roles of Sphinx off names in docstrings."""
    return ROLE.sub("", html)
