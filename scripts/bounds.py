"""Print constraints for pip that hold what pyproject.toml declares to the lowest versions it allows, or to no version.

python scripts/bounds.py {lowest,newest} [PACKAGE ...]     the packages named are held to constraints.txt instead
"""

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXTRAS = ("judges", "chitchat", "slurm", "test")


def declared(project: Path) -> list[Requirement]:
    """Return what the tests install: the requirements of the package and of EXTRAS, without the package itself."""
    content = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    texts = [*content["dependencies"], *(text for name in EXTRAS for text in content["optional-dependencies"][name])]
    return [one for one in map(Requirement, texts) if one.name != content["name"]]


def lowest(requirement: Requirement) -> Version:
    """Return the version after ``>=`` or ``==``. Raises ValueError if there is none."""
    return max(Version(one.version) for one in requirement.specifier if one.operator in (">=", "=="))


def pinned(file: Path = ROOT / "constraints.txt") -> dict[str, str]:
    """Return the lines of constraints.txt by the name of the package."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.partition("==")[0]): line for line in lines}


def constraints(which: str, held: Iterable[str], project: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return the constraints for ``which`` versions, with the packages ``held`` at those of constraints.txt."""
    names = {canonicalize_name(name) for name in held}
    lines = [pinned()[name] for name in sorted(names)]
    if which == "lowest":
        chosen = [one for one in declared(project) if one.marker is None or one.marker.evaluate()]
        lines += [f"{one.name}=={lowest(one)}" for one in chosen if canonicalize_name(one.name) not in names]
    return lines


if __name__ == "__main__":
    print("\n".join(constraints(sys.argv[1], sys.argv[2:])))
