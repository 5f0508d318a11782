import ast
import json
import math
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from tiny import parameters_of_run

from ladder_ebgan import __version__, cli
from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.commands.console import print_table, without_fresh
from ladder_ebgan.commands.options import Duration, SeedNumbers, WholeNumbers
from ladder_ebgan.commands.run import request_of
from ladder_ebgan.experiment import Request
from ladder_ebgan.interruption import StoppedAtOnce
from ladder_ebgan.recipe_files import recipe_names, recipe_text, space_names, space_text
from ladder_ebgan.report.seeds import seed_list

PROGRAM = Path(sys.executable).with_name("ladder-ebgan")
ANSI = "\x1b"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = list(commands(cli.cli))
NAMES = [" ".join(["ladder-ebgan", *path]) for path, _ in COMMANDS]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(path: tuple[str, ...], command: click.Command, option: str) -> None:
    outcome = tiny.done(*path, option)
    assert outcome.stderr == ""
    assert outcome.stdout.startswith(" ".join(["Usage: ladder-ebgan", *path]))
    assert command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{parameter.name} has no help"
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_a_group_without_a_command_shows_its_help() -> None:
    for path in ((), ("recipes",), ("data",)):
        outcome = tiny.invoke(*path)
        assert outcome.code == 2
        assert outcome.stdout == ""
        assert outcome.stderr.startswith("Usage: ladder-ebgan")


def test_the_version_is_told() -> None:
    assert tiny.done("--version").stdout == f"ladder-ebgan, version {__version__}\n"


def test_help_imports_nothing_slow() -> None:
    program = (
        "import sys; from ladder_ebgan.cli import main; main(['--help']); main(['run', '--help']);"
        "print(sorted({'torch', 'numpy', 'rich', 'pydantic', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_every_option_can_come_from_the_environment_by_its_own_name(
    path: tuple[str, ...], command: click.Command
) -> None:
    """--labels of `run` is LADDER_EBGAN_RUN_LABELS, whatever the parameter is called in the code."""
    root = cli.cli.make_context("ladder-ebgan", ["--help"], resilient_parsing=True)
    context = root
    for name in path:
        context = click.Context(command, info_name=name, parent=context)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in {"help", "version"}:
            longest = max(parameter.opts, key=len).removeprefix("--")
            variable = "_".join(["LADDER_EBGAN", *path, longest]).upper().replace("-", "_")
            automatic = f"{context.auto_envvar_prefix}_{parameter.name}".upper().replace("-", "_")
            assert variable in {parameter.envvar or automatic}


def test_options_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "LABELS": "20",
        "SEEDS": "1",
        "MODEL": "ladder",
        "RECIPE": "table2",
        "DATA": "digits",
        "OUTPUT": str(tmp_path / "run"),
        "COMPILE": "0",
        "JSON": "1",
        "QUIET": "1",
        "VERBOSE": "0",
        "SET": " ".join(tiny.settings()[1::2]).replace(", ", ","),
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"LADDER_EBGAN_RUN_{name}", value)
    outcome = tiny.done("run")
    assert outcome.stderr == ""
    (row,) = json.loads(outcome.stdout)["rows"]
    assert (row["model"], row["labels"], row["n_seeds"]) == ("ladder", 20, 1)
    monkeypatch.setenv("LADDER_EBGAN_TABLE_FORMAT", "csv")
    assert tiny.done("table", str(tmp_path / "run")).stdout.startswith("model,labels,")


def test_the_recorded_command_needs_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed stays as it is; flags that are off are left out."""
    environment = {"LABELS": "20 30,40", "OUTPUT": str(tmp_path / "a b"), "COMPILE": "0", "JSON": "1", "QUIET": "0"}
    for name, value in environment.items():
        monkeypatch.setenv(f"LADDER_EBGAN_RUN_{name}", value)
    typed = [*tiny.settings(), "--data", "digits", "--model=ladder", "--time-limit", "1e-9"]
    assert tiny.invoke("run", *typed).code == 75
    (start,) = json.loads((tmp_path / "a b" / "run.json").read_text())["starts"]
    first, *given = start["command"]
    assert first == "run"
    assert given[-len(typed) :] == typed
    assert given[: -len(typed)] == [
        *("--labels", "20", "--labels", "30,40"),
        *("--no-compile", "--output", str(tmp_path / "a b"), "--json"),
    ]
    request = requested(*given)
    for name in environment:
        monkeypatch.delenv(f"LADDER_EBGAN_RUN_{name}")
    assert requested(*given) == request
    assert request.labels == (20, 30, 40)


def requested(*arguments: str) -> Request:
    return request_of(**parameters_of_run(*arguments))


def test_what_is_not_said_comes_from_the_recipe() -> None:
    request = requested("--recipe", "supervised")
    assert request.labels == (50, 100, 200, 1000)
    assert request.seeds == tuple(range(10))
    assert request.models == ("ladder",)
    assert requested().models == ("ladder", "ebgan-ladder")
    assert request.replicas_at_once is None


def test_lists_may_be_repeated_and_joined() -> None:
    request = requested(
        *("--labels", "200,100", "--labels", "100", "--seed-list", "3,0,3", "--replicas-at-once", "7"),
        *("--model", "ladder-matched", "--model", "ladder, ladder-matched", "--seed-list", "5-7"),
    )
    assert request.labels == (100, 200)
    assert request.seeds == (3, 0, 5, 6, 7)
    assert request.models == ("ladder-matched", "ladder")
    assert request.replicas_at_once == 7


def test_stdout_has_the_table_and_stderr_the_progress(tmp_path: Path) -> None:
    outcome = tiny.done(*tiny.arguments(tmp_path / "run", "--verbose"))
    assert outcome.stdout == tiny.done("table", str(tmp_path / "run")).stdout
    lines = outcome.stderr.splitlines()
    assert lines[0].startswith("Resolved: ")
    assert '{"replicas_at_once": 4, "compiled": false, "n_threads": 1, "n_processes": 1}, float32' in lines[0]
    assert re.fullmatch(r"Training 4 replicas on .*, 1 core \(float32, not compiled\)\.", lines[1])
    assert re.fullmatch(r"This will take about \d+ s, going by a few timed steps\.", lines[2])
    assert lines[3] == "ladder, 20 labels, seeds 0, 1: 20 steps"
    for line, step in zip(lines[4:6], (10, 20), strict=True):
        assert line.startswith(f"  ladder, 20 labels, seeds 0, 1, step {step}: classification ")
    assert re.fullmatch(r"  ladder, 20 labels, seed 0: test error \d+\.\d\d %", lines[6])
    assert lines[-1] == f"The run's folder is {tmp_path / 'run'}"
    assert ANSI not in outcome.stdout + outcome.stderr


def test_json_is_what_the_folder_holds(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    outcome = tiny.done(*tiny.arguments(folder, "--quiet", "--json"))
    assert outcome.stderr == ""
    assert outcome.stdout == (folder / "table.json").read_text()
    assert json.loads(outcome.stdout)["dataset"] == "digits"


def test_a_long_run_is_told_what_would_be_faster(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_ebgan import trainer

    monkeypatch.setattr(trainer, "step_seconds", lambda *_: 100.0)
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    command = tiny.arguments(folder, "--model", "ladder", "--seed-list", "8", "--time-limit", "1e-9")
    outcome = tiny.invoke(*command)
    assert outcome.code == 75
    assert (
        "This will take about 33 min, going by a few timed steps.\nFaster may be, in a new folder (--output DIR): "
        in outcome.stderr
    )
    assert "; --recipe demo, a shortened table.\n" in outcome.stderr


def test_compiling_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU only if there is something to compile: the kernels of an earlier run are kept."""
    from ladder_ebgan import kernels, trainer

    monkeypatch.setattr(trainer, "step_seconds", lambda *_: 0.1)
    monkeypatch.setattr("ladder_ebgan.machine.compiler_missing", lambda device: None)
    monkeypatch.setattr(kernels, "compiler", lambda: "g++")
    for built, said in ((False, True), (True, False)):
        monkeypatch.setattr(kernels, "is_built", lambda built=built: built)
        command = tiny.arguments(tmp_path / f"{built}", "--model", "ladder", "--time-limit", "1e-9", "--compile")
        command.remove("--no-compile")
        outcome = tiny.invoke(*command)
        assert ("Compiling for this processor, which takes ten seconds, once ...\n" in outcome.stderr) == said
        assert "(float32, compiled)" in outcome.stderr


@pytest.mark.parametrize("layout", ["text", "markdown", "latex", "csv", "json"])
def test_tables_of_two_folders_are_merged(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, layout: str
) -> None:
    first = tiny.finished_run(tmp_path_factory)
    second = first.with_name("other-budget")
    if not second.exists():
        tiny.done(*tiny.arguments(second, "--quiet", "--model", "ladder", "--labels", "30", "--seeds", "1"))
    outcome = tiny.done("table", str(first), str(second), "--format", layout)
    assert outcome.stderr == ""
    assert outcome.stdout.endswith("\n")
    if layout == "json":
        rows = json.loads(outcome.stdout)["rows"]
        assert [(row["model"], row["labels"]) for row in rows] == [
            ("ladder", 20),
            ("ladder", 30),
            ("ebgan-ladder", 20),
        ]
    elif layout == "csv":
        assert [line.split(",")[:2] for line in outcome.stdout.splitlines()[1:]] == [
            ["ladder", "20"],
            ["ladder", "30"],
            ["ebgan-ladder", "20"],
        ]
    else:
        assert "20 labels" in outcome.stdout
        assert "30 labels" in outcome.stdout


def test_tables_of_other_data_are_refused(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = tiny.finished_run(tmp_path_factory)
    other = tiny.copied_run(tmp_path_factory, tmp_path / "other")
    record = json.loads((other / "run.json").read_text())
    record["identity"]["data"] = {"name": "mine", "fingerprint": "0"}
    (other / "run.json").write_text(json.dumps(record))
    assert tiny.refused("table", str(first), str(other)) == (
        f"{other} is a run on mine, {first} one on digits with other images: "
        "only runs on the same data can share a table"
    )


def test_tables_that_contradict_each_other_are_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = tiny.finished_run(tmp_path_factory)
    other = tiny.copied_run(tmp_path_factory, tmp_path / "other")
    text = (other / "results.csv").read_text()
    (other / "results.csv").write_text(re.sub(r",20,0,ok,[\d.]+", ",20,0,ok,1.5", text, count=1))
    assert "has two results of seed 0" in tiny.refused("table", str(first), str(other))
    assert tiny.done("table", str(first), str(first)).stdout == tiny.done("table", str(first)).stdout


def test_a_damaged_folder_has_no_table(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    (folder / "results.csv").write_text("nonsense\n1\n")
    assert "results.csv is damaged" in tiny.refused("table", str(folder))


def test_recipes_are_listed_and_shown() -> None:
    recipes, spaces = tiny.done("recipes", "list").stdout.split("\nspaces of a search:\n\n")
    for names, lines in ((recipe_names(), recipes.splitlines()), (space_names(), spaces.splitlines())):
        assert [line.split()[0] for line in lines] == names
        assert all(len(line.split()) > 5 for line in lines)
    assert tiny.done("recipes", "show", "demo").stdout == recipe_text("demo")
    assert tiny.done("recipes", "show", "baseline").stdout == space_text("baseline")


@pytest.mark.parametrize("name", ["fast-spread", "figure9"])
def test_a_resolved_recipe_is_the_recipe_without_its_base(name: str, tmp_path: Path) -> None:
    path = tmp_path / "resolved.toml"
    path.write_text(tiny.done("recipes", "show", name, "--resolved").stdout)
    assert "base" not in tomllib.loads(path.read_text())
    assert load_any_recipe(str(path)) == load_any_recipe(name)


def test_a_search_space_is_not_resolved() -> None:
    assert "unknown recipe 'baseline'" in tiny.refused("recipes", "show", "baseline", "--resolved")


def test_data_sets_are_listed_and_described() -> None:
    listed = tiny.done("data", "list").stdout
    assert listed.startswith("mnist   MNIST: 60,000")
    assert "\ndigits  " in listed
    assert ".npz" in listed
    described = json.loads(tiny.done("data", "describe", "digits", "--json").stdout)
    assert (described["n_train"], described["n_test"], described["n_classes"]) == (1297, 500, 10)
    text = tiny.done("data", "describe", "digits").stdout
    assert f"fingerprint   {described['fingerprint']}\n" in text
    first = described["classes"][0]
    assert f"0             {first['n_train']:15}  {first['n_test']:11}\n" in text


def test_what_goes_on_is_not_what_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("1", " without LADDER_EBGAN_RUN_FRESH"), ("false", ""), ("", "")):
        monkeypatch.setenv("LADDER_EBGAN_RUN_FRESH", value)
        assert without_fresh(["run"]) == expected
        assert without_fresh(["run", "--fresh"]) == " without --fresh" + expected.replace("without", "and")
        assert without_fresh(["search"]) == without_fresh([]) == ""


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("command", "error", "code", "expected"),
    [
        ("table runs", KeyboardInterrupt(), 130, "interrupted"),
        ("run", KeyboardInterrupt(), 130, "interrupted"),
        ("run", KeyboardInterrupt("what is kept"), 130, "interrupted; what is kept"),
        ("run", StoppedAtOnce("SIGTERM"), 143, "interrupted; the same command goes on"),
        ("table runs", MemoryError(), 1, "out of memory; close other programs, and give the same"),
        ("run", MemoryError(), 1, "out of memory; train fewer replicas at once"),
        ("run", RuntimeError("CUDA out of memory. Tried"), 1, "out of memory; train fewer replicas at once"),
        ("bench", RuntimeError("[enforce fail] not enough memory"), 1, "out of memory; measure fewer replicas"),
        ("predict runs mnist", MemoryError(), 1, "out of memory; give fewer images at a time"),
        ("sample runs --output x.png", MemoryError(), 1, "out of memory; draw fewer images at a time"),
        ("run", FULL, 1, "the system: No space left on device; make room, and the same command goes on"),
        (
            "run --fresh",
            FULL,
            1,
            "the system: No space left on device; make room, and the same command without --fr",
        ),
        ("run --fresh", StoppedAtOnce("SIGINT"), 130, "interrupted; the same command without --fresh goes on"),
        ("table runs", FULL, 1, "the system: No space left on device; make room, and give the same"),
        ("run", OSError(28, "No space left", "x.csv"), 1, "x.csv: No space left; make room, and the same"),
        ("run", OSError(5, "Input/output error", "x.csv"), 1, "x.csv: Input/output error\n"),
    ],
)
def test_what_the_machine_cannot_do_is_one_line(
    monkeypatch: pytest.MonkeyPatch, command: str, error: BaseException, code: int, expected: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    loaders = ("any_recipe.load_any_recipe", "recipe.load_recipe")  # of a run, of a bench
    for name in (*loaders, "report.outputs.table_of", "model_files.find_models"):
        monkeypatch.setattr(f"ladder_ebgan.{name}", fail)
    outcome = tiny.invoke(*command.split())
    assert outcome.code == code
    assert outcome.stdout == ""
    assert outcome.stderr.lstrip("\n").startswith(f"ladder-ebgan: {expected}")
    assert outcome.stderr.strip("\n").count("\n") == 0


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("ladder_ebgan.report.outputs.table_of", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        tiny.invoke("table", "runs")


def test_the_installed_program(tmp_path: Path) -> None:
    shown = subprocess.run([PROGRAM, "recipes", "show", "demo"], capture_output=True, text=True, check=True)
    assert shown.stdout == recipe_text("demo")
    refused = subprocess.run(
        [PROGRAM, "run", "--recipe", "nope"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("ladder-ebgan: unknown recipe 'nope'")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_traceback() -> None:
    program = f"{PROGRAM} recipes show table2 | true; {PROGRAM} --help | true"
    piped = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert piped.stderr == ""


@pytest.mark.parametrize(("no_color", "colored"), [(None, True), ("1", False)])
def test_the_table_is_coloured_on_a_terminal_only(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_color: str | None,
    colored: bool,
) -> None:
    from ladder_ebgan.report.outputs import table_of

    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(table_of([tiny.finished_run(tmp_path_factory)]), "text")
    assert (ANSI in capsys.readouterr().out) is colored


@pytest.mark.parametrize("numbers", [WholeNumbers(), SeedNumbers()])
def test_whole_numbers_are_left_as_they_are(numbers: WholeNumbers) -> None:
    assert numbers.convert([1, 2], None, None) == [1, 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", [3]),
        ("7,0-2", [7, 0, 1, 2]),
        ("0 - 2, 7", [0, 1, 2, 7]),
        ("4-4", [4]),
        ("0-9999", list(range(10_000))),
        ("4294967294-4294967295", [2**32 - 2, 2**32 - 1]),
    ],
)
def test_seeds_in_a_row_may_be_given_as_their_ends(value: str, expected: list[int]) -> None:
    assert SeedNumbers().convert(value, None, None) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2-1", "'2-1' ends before it begins"),
        ("0-10000", "'0-10000' has more than 10000 numbers"),
        ("0-4999,0-5000", "'0-4999,0-5000' has more than 10000 numbers"),
        ("1--2", "'1--2' is not a whole number, or several separated by commas"),
        ("0-4294967296", "has a number above 4294967295"),
    ],
)
def test_seeds_that_are_no_row_are_refused(value: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        SeedNumbers().convert(value, None, None)


@given(st.lists(st.integers(0, 60), min_size=1))
def test_seeds_can_be_given_as_messages_list_them(seeds: list[int]) -> None:
    assert SeedNumbers().convert(seed_list(seeds), None, None) == sorted(set(seeds))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("1e-9", 1e-9),
        (1.5, 1.5),
        ("45s", 45),
        ("90m", 5400),
        ("1.5h", 5400),
        (" 2 d", 172_800),
        ("inf", math.inf),
    ],
)
def test_a_time_may_have_a_unit(value: object, seconds: float) -> None:
    assert Duration().convert(value, None, None) == seconds


def test_messages_in_the_code_have_no_line_breaks() -> None:
    """A UsageError reaches the user as a single line."""
    for path in Path(cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UsageError":
                for part in ast.walk(node):
                    assert not (isinstance(part, ast.Constant) and "\n" in str(part.value)), path
