"""What the tables and the page of a run say of alarms that lasted."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ladder_ebgan.alarms import COLLAPSED_BELOW, Alarm, lasting_alarms
from ladder_ebgan.report.seeds import seeds_phrase
from ladder_ebgan.runs import RunFolder


def alarm_notes(folders: Sequence[RunFolder]) -> Iterator[str]:
    """Yield a line for each kind of alarm, model and number of labels that some seed of the folders ended with."""
    alarms = [alarm for folder in folders for alarm in lasting_alarms(folder.history())]
    for (kind, model, labels), group in groupby(sorted(alarms, key=_kind), key=_kind):
        of_kind = list(group)
        budget = f", {labels} labels" if labels else ""
        yield f"{model}{budget}, {seeds_phrase(alarm.seed for alarm in of_kind)}: {_said(kind, of_kind)}"


def _kind(alarm: Alarm) -> tuple[str, str, int]:
    return alarm.kind, alarm.model, alarm.labels


def _said(kind: str, alarms: Sequence[Alarm]) -> str:
    earliest = min(alarm.step for alarm in alarms)
    since = f"since step {earliest}{' or later' if any(alarm.step > earliest for alarm in alarms) else ''}"
    if kind == "collapse":
        times = f"less than {COLLAPSED_BELOW:g} times"
        return f"mode collapse {since}, generated examples are {times} as far apart as real ones"
    return f"hinges closed {since}, every generated example had more energy than the margin"
