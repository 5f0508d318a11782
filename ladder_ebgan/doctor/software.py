"""Looks at the operating system, the packages, PyTorch, the C++ compiler and the kernels."""

import importlib
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from ladder_ebgan import system
from ladder_ebgan.doctor.finding import Finding
from ladder_ebgan.doctor.packages import DISTRIBUTION, PYTHON, Package, packages, pip_install, requirement

INSTALL_GPP = {  # by the program that does it
    "apt-get": "apt-get install g++",
    "dnf": "dnf install gcc-c++",
    "apk": "apk add g++",
    "pacman": "pacman -S gcc",
    "brew": "brew install gcc, and name it: export CXX=g++-15",
}
MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}  # of packages that are imported by another name
WITHOUT_KERNELS = "runs do without, and take about half as long again"  # docs/performance.md


def locks() -> Iterator[Finding]:
    """Look at whether the system has the locks that a run's folder needs."""
    name = platform.platform()
    if find_spec("fcntl"):
        yield Finding("system", "ok", name, values={"platform": name})
    else:
        wsl = "on Windows, in the Windows Subsystem for Linux: wsl --install"
        yield Finding("system", "missing", f"{name} has no POSIX locks, which a run's folder needs", wsl, True)


def package_versions() -> Iterator[Finding]:
    """Look at whether the packages are there, can be imported, and have versions that were asked for."""
    for package in packages():
        asked = f" ({package.asked})" if package.asked else ""
        values = {"version": package.version, "asked": package.asked}
        broken = _import_error(package)
        if package.version is None:
            to_do = pip_install(requirement(package.name))
            yield Finding(package.name, "missing", f"not installed{asked}", to_do, True, values)
        elif broken:
            to_do = pip_install("--force-reinstall", requirement(package.name))
            said = f"{package.version} cannot be imported ({broken})"
            yield Finding(package.name, "missing", said, to_do, True, values)
        elif package.fits is False:
            said = f"{package.version}, which nobody has tested: asked for is {package.asked}"
            python = f"install Python {package.asked}"
            to_do = python if package.name == PYTHON else pip_install(requirement(package.name))
            yield Finding(package.name, "note", said, to_do, values=values)
        else:
            yield Finding(package.name, "ok", f"{package.version}{asked}", values=values)


def _import_error(package: Package) -> str:
    """Return why an installed package cannot be imported; its libraries may be missing."""
    if package.version is None or package.name in {PYTHON, DISTRIBUTION}:
        return ""
    try:
        importlib.import_module(MODULES.get(package.name, package.name.replace("-", "_")))
    except Exception as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def compiler(notice: Callable[[str], None]) -> Iterator[Finding]:
    """Look at the C++ compiler, and build the kernels if they are not there yet."""
    from ladder_ebgan.kernels import library

    path = library.compiler()
    if path is None:
        said = f"no g++, nor one that CXX names: {WITHOUT_KERNELS}"
        yield Finding("C++ compiler", "missing", said, _install_gpp(), values={"path": None})
        return
    version = system.output_of((path, "--version")).partition("\n")[0]
    yield Finding("C++ compiler", "ok", f"{path}, {version or 'unknown version'}", values={"path": path})
    if not library.is_built():
        notice("Compiling for this processor, which takes ten seconds, once ...")
    yield _kernels()


def _kernels() -> Finding:
    import torch

    from ladder_ebgan.capture import compiler_missing
    from ladder_ebgan.kernels import library

    missing = compiler_missing(torch.device("cpu"))
    folder = library.cache_folder()
    sizes = [path.stat().st_size for path in folder.glob("*.so")]
    values = {"folder": str(folder), "n_files": len(sizes), "bytes": sum(sizes), "built": missing is None}
    if missing:
        to_do = "export XDG_CACHE_HOME=DIR" if "XDG_CACHE_HOME" in missing else _install_gpp()
        return Finding("kernels", "missing", f"{missing}; {WITHOUT_KERNELS}", to_do, values=values)
    files = f"{len(sizes)} file{'s' if len(sizes) > 1 else ''}, {sum(sizes) / 1e6:.1f} MB"
    return Finding("kernels", "ok", f"built for this processor; {files} in {folder}", values=values)


def _install_gpp() -> str:
    """Return how to install g++ here."""
    commands = (command for program, command in INSTALL_GPP.items() if shutil.which(program))
    return next(commands, "install g++, the compiler of GCC")
