"""The files of recipes and of search spaces: those that come with the package, and one's own."""

import difflib
from importlib import resources
from pathlib import Path

from ladder_ebgan.errors import UsageError

RECIPES_PACKAGE = "ladder_ebgan_recipes"
SPACE_PREFIX = "search-"  # of the files beside the recipes that say what a search varies
MAX_BYTES = 100_000  # of a file; they have two thousand


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return [name for name in _packaged() if not name.startswith(SPACE_PREFIX)]


def recipe_text(name_or_path: str) -> str:
    """Return the TOML text of a packaged recipe or of a file."""
    if name_or_path in recipe_names():
        return _packaged_text(name_or_path)
    return _file_text(name_or_path, "recipe", recipe_names())


def seen_from(name_or_path: str, file: str) -> str:
    """Return the recipe that a file names: its path is one from that file; the name of a packaged one stays."""
    return str(Path(file).parent / name_or_path) if name_or_path.endswith(".toml") else name_or_path


def _file_text(name_or_path: str, what: str, names: list[str]) -> str:
    """Return the text of a file of one's own; `what` it is and the `names` there are stand in messages."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise UsageError(
            f"unknown {what} '{name_or_path}'{suggestion(name_or_path, names)}: "
            f"the {what}s are {', '.join(names)}; a {what} of your own is a file that ends in .toml"
        )
    try:
        size = path.stat().st_size
        if path.is_file() and size <= MAX_BYTES:
            return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte, or bytes that are no text
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the {what} {path}: {reason}") from error
    why = f"has {size:,} bytes" if path.is_file() else "is not a file"  # but a folder, or a device without an end
    raise UsageError(f"the {what} {path} {why}: a {what} is a TOML file of at most {MAX_BYTES:,} bytes")


def recipe_summary(name: str) -> str:
    """Return the first line of a recipe's header."""
    return _first_line(recipe_text(name))


def space_names() -> list[str]:
    """Return the names of the search spaces that come with the package."""
    return [name.removeprefix(SPACE_PREFIX) for name in _packaged() if name.startswith(SPACE_PREFIX)]


def space_text(name_or_path: str) -> str:
    """Return the TOML text of a packaged search space or of a file."""
    if name_or_path in space_names():
        return _packaged_text(SPACE_PREFIX + name_or_path)
    return _file_text(name_or_path, "search space", space_names())


def space_summary(name: str) -> str:
    """Return the first line of a search space's header."""
    return _first_line(space_text(name))


def _packaged() -> list[str]:
    """Return the names of all TOML files that come with the package."""
    names = (file.name for file in resources.files(RECIPES_PACKAGE).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _packaged_text(name: str) -> str:
    return (resources.files(RECIPES_PACKAGE) / f"{name}.toml").read_text(encoding="utf-8")


def _first_line(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")


def suggestion(word: str, known: list[str]) -> str:
    """Return the known word that is closest to a word nobody knows, as a question; nothing if none is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
