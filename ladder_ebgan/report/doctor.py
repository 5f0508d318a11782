"""What `ladder-ebgan doctor` prints: a line for each finding, or one JSON object.

Keys of the JSON object: `works`, whether a run with default options would; and `findings`, each with its section,
topic, status ("ok", "note" or "missing"), says, to_do, necessary (a run does not work without it) and values.
"""

import json
from dataclasses import asdict

from ladder_ebgan.doctor import Findings, works
from ladder_ebgan.report.lines import hanging, text_console

STYLES = {"ok": "green", "note": "yellow", "missing": "bold red"}
STATUS_WIDTH = 9


def doctor_json(findings: Findings) -> str:
    """Return the JSON object."""
    listed = [{"section": section, **asdict(one)} for section, group in findings.items() for one in group]
    return json.dumps({"works": works(findings), "findings": listed}, indent=1) + "\n"


def doctor_text(findings: Findings, width: int | None, *, color: bool = False) -> str:
    """Return a line for each finding, wrapped at `width` if one is given; commands are never wrapped."""
    from rich.text import Text

    console = text_console(color)
    with console.capture() as capture:
        for section, group in findings.items():
            if group:
                console.print(Text(section, style="bold"), soft_wrap=True)
            topic_width = max((len(one.topic) for one in group), default=0) + 2
            for one in group:
                head = f"  {one.status:{STATUS_WIDTH}}{one.topic:{topic_width}}"
                line = Text(hanging(head, one.says, width))
                line.stylize(STYLES[one.status], 2, 2 + len(one.status))
                console.print(line, soft_wrap=True)
                if one.to_do:
                    console.print(Text(f"{' ' * len(head)}-> {one.to_do}"), soft_wrap=True)
        console.print(Text(_verdict(findings), style="bold"), soft_wrap=True)
    return capture.get()


def _verdict(findings: Findings) -> str:
    found = [one for group in findings.values() for one in group]
    if not works(findings):
        lacking = ", ".join(one.topic for one in found if one.necessary and one.status == "missing")
        return f"A run with default options does not work here: {lacking}."
    counts = {word: sum(one.status == word for one in found) for word in ("note", "missing")}
    words = {"note": "to note", "missing": "missing that it does without"}
    return f"A run works here{''.join(f'; {n} {words[word]}' for word, n in counts.items() if n)}."
