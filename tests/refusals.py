"""What every refusal has in common: exit code 2 in one line, and nothing on disk is new or changed."""

import os
from pathlib import Path

import tiny
from hypothesis import HealthCheck, settings

# Few by default; EXAMPLES=2000 looks harder. A busy machine is no failure.
examples = settings(
    max_examples=int(os.environ.get("EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def everything(folder: Path) -> dict[str, object]:
    """All that is in a folder, by its path there: content, link or kind."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            found[name] = path.read_bytes() if path.is_file() else path.lstat().st_mode
    return found


def refused(place: Path, *command: str, code: int = 2) -> str:
    """Run a command that has to fail in one line and leave all in `place` as it is; return the line."""
    before = everything(place)
    message = tiny.refused(*command, code=code)
    assert everything(place) == before
    assert message.isprintable()
    assert len(message) <= 1100
    return message
