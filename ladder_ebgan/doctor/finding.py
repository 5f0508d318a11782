"""What a look at the machine yields."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    status: Status
    says: str
    to_do: str = ""  # a command, or a sentence; empty where there is nothing to do
    necessary: bool = False  # a run with default options does not work without it
    values: Mapping[str, Any] = field(default_factory=dict)  # the same as data


Probe = Callable[[], Iterator[Finding]]


def guarded(topic: str, probe: Probe) -> Iterator[Finding]:
    """Yield what a probe finds. Systems differ: that it fails where nobody foresaw it is a finding, too."""
    try:
        yield from probe()
    except Exception as error:
        reason = (str(error).splitlines() or ["no message"])[0]
        yield Finding(topic, "note", f"could not be looked at ({type(error).__name__}: {reason})")
