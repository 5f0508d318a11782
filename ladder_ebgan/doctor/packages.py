"""Which packages this installation has, and whether their versions are those that its own metadata asks for."""

import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from ladder_ebgan._version import __version__

DISTRIBUTION, PYTHON = "ladder-ebgan", "Python"


@dataclass(frozen=True)
class Package:
    """A package that is needed; `fits` is None where nothing is asked of its version, or it cannot be told."""

    name: str
    version: str | None  # None: not installed
    asked: str  # such as ">=2.0"
    fits: bool | None


def packages() -> Iterator[Package]:
    """Yield this package, Python, and the packages that a run needs."""
    yield Package(DISTRIBUTION, __version__, "", None)
    yield _judged(PYTHON, platform.python_version(), _python_asked())
    for name, asked in _asked().items():
        yield _judged(name, _installed(name), asked)


def pip_install(*arguments: str) -> str:
    """Return the command that installs something for the Python that this is."""
    return " ".join([sys.executable, "-m pip install", *arguments])


def requirement(name: str) -> str:
    """Return what pip is to be given for a package, in quotes for the shell."""
    return f"'{name}{_asked().get(name, '')}'"


def _python_asked() -> str:
    try:
        return str(metadata.metadata(DISTRIBUTION).json.get("requires_python", ""))
    except metadata.PackageNotFoundError:  # run from its source
        return ""


def _asked() -> dict[str, str]:
    """Return the versions that are asked for, by package; extras are left out."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    matches = (re.match(r"([\w.-]+)\s*\(?([^;)]*)", line) for line in requirements if "extra ==" not in line)
    return {match[1]: match[2].strip() for match in matches if match}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _judged(name: str, version: str | None, asked: str) -> Package:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # it comes with matplotlib; nobody promises that
        return Package(name, version, asked, None)
    return Package(name, version, asked, None if version is None else SpecifierSet(asked).contains(version, True))
