"""What the README tells people to run."""

import re
import subprocess
from pathlib import Path

from ladder_ebgan.cli import cli
from ladder_ebgan.recipe_files import recipe_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_of_the_readme_exists_with_its_options() -> None:
    commands = re.findall(r"^(?:.*/bin/)?ladder-ebgan (.+)$", README.replace("&& .venv/bin/", "\n"), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        words = command.partition("#")[0].partition(">")[0].split()
        options = {name for parameter in cli.commands[words[0]].params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, command
    for recipe in re.findall(r"--recipe (\w+)(?!\S)", README):
        assert recipe in recipe_names()


def test_continuous_integration_finds_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extraction = next(line for line in script.splitlines() if line.startswith("command="))
    found = subprocess.run(
        ["bash", "-c", f'{extraction}; echo "$command"'], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(found) == 1
    assert found[0].startswith("python3 -m venv .venv && ")
    assert "pytest" in found[0]
