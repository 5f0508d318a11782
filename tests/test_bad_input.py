"""Wrong options and recipes: exit code 2, one line that says what is wrong and what would be right, nothing new.

The options of a new command are walked by themselves. What its own code refuses belongs into REFUSED.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click
import numpy as np
import pytest
import trained
from hypothesis import given
from hypothesis import strategies as st
from refusals import examples, refused

from ladder_ebgan import cli, experiment
from ladder_ebgan.commands.choosing import Seeds
from ladder_ebgan.commands.options import AnyPath, Duration, SeedNumbers, WholeNumbers
from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import Recipe, load_recipe
from ladder_ebgan.recipe_files import recipe_text

Path_ = tuple[str, ...]  # of a command
HUGE = "9" * 5000  # more digits than Python reads


def commands(group: click.Group, path: Path_ = ()) -> Iterator[tuple[Path_, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(cli.cli))


WRONG_TIMES = ["", "soon", "1,5", "-1", "0", "0h", "m", "h8", "8 hours", "1w", "1h30m", "8H"]
WRONG_SEEDS = ["", ",", "many", "1;2", "1,,2", "-1", "1-", "1--2", "1-2-3", "2-1", "0-10000", f"0-{HUGE}", HUGE]


def wrong_values(kind: click.ParamType) -> list[str]:
    """Values that no option or argument of a type takes."""
    if isinstance(kind, Duration | SeedNumbers | Seeds):
        return WRONG_TIMES if isinstance(kind, Duration) else WRONG_SEEDS
    if isinstance(kind, click.IntRange):
        outside = [] if kind.max is None else [str(kind.max + 1)]
        return ["", " ", "x", "1.5", "1e3", "nan", HUGE, str((kind.min or 0) - 1), *outside]
    if isinstance(kind, click.FloatRange):
        return ["", "soon", "1,5", "-1", "0"]
    if isinstance(kind, click.Choice):
        return ["", "nonsense", str(kind.choices[0]).upper(), "[red]x"]
    if isinstance(kind, WholeNumbers):
        return ["", ",", "many", "1;2", "1,,2", "-1", "10,-1", "1.5", "0x10", "½", "1_0", "1-2", str(2**32), HUGE]
    return [""] if isinstance(kind, AnyPath) else []


def walked() -> Iterator[tuple[Path_, str, str]]:
    """Every option of every command with every value that its type refuses."""
    for path, command in COMMANDS.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                for value in wrong_values(parameter.type):
                    yield path, max(parameter.opts, key=len), value


def named(case: tuple[Path_, str, str]) -> str:
    path, option, value = case
    return f"{' '.join(path)} {option} {value[:12]!r}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, so that whatever is written shows."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


WALKED = list(walked())


@pytest.mark.parametrize(("path", "option", "value"), WALKED, ids=map(named, WALKED))
def test_a_value_of_a_wrong_kind_is_refused(here: Path, path: Path_, option: str, value: str) -> None:
    assert refused(here, *path, option, value).startswith(f"Invalid value for '{option}': ")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_option_that_is_not_there_is_refused(here: Path, path: Path_) -> None:
    assert refused(here, *path, "--nonsense", "x").startswith("No such option '--nonsense'.")


FLAGS = [
    (path, max(parameter.opts, key=len))
    for path, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Option) and parameter.is_flag
]


@pytest.mark.parametrize(("path", "flag"), FLAGS, ids=[f"{' '.join(path)} {flag}=yes" for path, flag in FLAGS])
def test_a_flag_with_a_value_is_refused(here: Path, path: Path_, flag: str) -> None:
    assert refused(here, *path, f"{flag}=yes") == f"Option '{flag}' does not take a value."


RUN = ("run", "--data", "digits", "--output", "deep/run")
OF_LADDER = "known there are n_steps, learning_rate, decay_start_step"
REFUSED: list[tuple[Path_, str]] = [
    # Which command.
    (("trian",), "No such command 'trian'"),
    (("recipes", "shwo"), "No such command 'shwo'"),
    (("RUN",), "No such command 'RUN'"),
    # Arguments.
    (("table",), "Missing argument 'FOLDERS...'"),
    (("recipes", "show"), "Missing argument 'NAME|FILE'"),
    (("data", "describe"), "Missing argument 'NAME|PATH'"),
    (("models",), "Missing argument 'FOLDER|FILE'"),
    (("report",), "Missing argument 'FOLDER'"),
    (("predict",), "Missing argument 'MODEL'"),
    (("predict", "models"), "Missing argument 'INPUT...'"),
    (("sample",), "Missing"),
    (("run", "extra"), "Got unexpected extra argument (extra)"),
    (("run", ""), "Got unexpected extra argument ()"),
    (("doctor", "twice"), "Got unexpected extra argument (twice)"),
    (("recipes", "show", "demo", "table2"), "Got unexpected extra argument (table2)"),
    (("table", ""), "Invalid value for 'FOLDERS...': the path is empty"),
    (("run", "--seeds"), "Option '--seeds' requires an argument"),
    # What `run` itself refuses.
    ((*RUN, "--recipe", "tabel2"), "unknown recipe 'tabel2' (did you mean 'table2'?): the recipes are "),
    ((*RUN, "--recipe", ""), "unknown recipe '': the recipes are demo, "),
    ((*RUN, "--recipe", "TABLE2"), "a recipe of your own is a file that ends in .toml"),
    ((*RUN, "--recipe", "none.toml"), "cannot read the recipe none.toml: No such file or directory"),
    ((*RUN, "--recipe", "x" * 300 + ".toml"), "File name too long"),
    ((*RUN, "--recipe", "a\nb\x1b[31m\udcff.toml"), r"cannot read the recipe a\nb\x1b[31m\xff.toml: No such file"),
    ((*RUN, "--set", "ladder.n_step=3"), "unknown key 'ladder.n_step' (did you mean 'n_steps'?)"),
    ((*RUN, "--set", "ladder.n_steps=0"), "ladder.n_steps is 0: input should be greater than 0"),
    ((*RUN, "--set", "ladder.n_steps"), "must be key=value"),
    ((*RUN, "--set", ""), "must be key=value, for example ladder.learning_rate=0.001"),
    ((*RUN, "--set", "="), "must be key=value"),
    ((*RUN, "--set", "\n=1"), r"--set \n=1: must be key=value"),
    ((*RUN, "--set", "ladder=1"), "ladder is 1: input should be an object"),
    ((*RUN, "--set", "ladder..n_steps=1"), f"unknown key 'ladder.': {OF_LADDER}"),
    ((*RUN, "--set", "ladder.n_steps.x.y=1"), "'n_steps' is not a section of the recipe"),
    ((*RUN, "--set", "a.b.c=1"), "unknown key 'a': known there are labels, n_seeds, network"),
    ((*RUN, "--set", "[ladder]=1"), "unknown key '[ladder]' (did you mean 'ladder'?)"),
    ((*RUN, "--set", "n_seeds='"), 'n_seeds is "\'": input should be a valid integer'),
    ((*RUN, "--set", "n_seeds=10001"), "n_seeds is 10001: input should be less than or equal to 10000"),
    ((*RUN, "--set", f"n_seeds=0x{'F' * 5000}"), "dates are not allowed in a recipe, nor numbers that long"),
    ((*RUN, "--set", f"labels={'[' * 300}{']' * 300}"), "it is nested too deeply, or has text that is not Unicode"),
    ((*RUN, "--set", "ladder.n_steps=\udcff"), "it is nested too deeply, or has text that is not Unicode"),
    ((*RUN, "--set", f"{'.'.join('a' * 30_000)}=1"), "it is nested too deeply"),
    ((*RUN, "--set", f"network.evaluation_statistics={'x' * 90_000}"), "xx ...: input should be 'labeled' or"),
    ((*RUN, "--set", "ladder.learning_rate=1e400"), "ladder.learning_rate is Infinity: input should be a finite"),
    ((*RUN, "--set", "ladder.learning_rate=nan"), "ladder.learning_rate is NaN: input should be a finite number"),
    ((*RUN, "--set", "ladder.learning_rate=1e-320"), "input should be between 1e-30 and 1e30"),
    ((*RUN, "--set", "network.input_noise=1e308"), "input should be between 1e-30 and 1e30"),
    ((*RUN, "--set", "ebgan-ladder.denoising_weights=[1e-320,0,0,0,0,0,0]"), "denoising_weights.0 is 1e-320"),
    ((*RUN, "--set", "ebgan-ladder.margin.steps=[0, 10000000000]"), "less than or equal to 1000000000"),
    ((*RUN, "--set", f"network.hidden_sizes={[8] * 101}"), "should have at most 100 items"),
    ((*RUN, "--set", "ladder.decay_start_step=120000"), "ladder: decay_start_step is 120000, but must be below"),
    ((*RUN, "--data", "minst"), "there is no data set or path 'minst'; names are mnist, digits"),
    ((*RUN, "--data", ""), "there is no data set or path ''"),
    ((*RUN, "--data", "x/" * 3000), "File name too long"),
    ((*RUN, "--model", "lader"), "the recipe has no model 'lader': it has ladder, ladder-matched, ebgan-ladder"),
    ((*RUN, "--model", "ladder, ebgan"), "the recipe has no model 'ebgan': it has ladder, "),
    ((*RUN, "--model", "ladder,"), "the recipe has no model '': it has ladder, "),
    ((*RUN, "--model", "ladder\n"), r"the recipe has no model 'ladder\n': it has ladder, "),
    ((*RUN, "--model", "[bold]x[/bold]"), "the recipe has no model '[bold]x[/bold]'"),
    ((*RUN, "--model", "x" * 90_000), "xx ... xx"),
    ((*RUN, "--recipe", "supervised", "--model", "ebgan-ladder"), "has no model 'ebgan-ladder': it has ladder"),
    *(
        ((*RUN, "--device", name), f"unknown device '{name}': it is auto, cpu, cuda, or cuda:N for GPU number N")
        for name in ("", "tpu", "meta", "mps", "mkldnn", "CPU", "cpu:1", "cuda:", "cuda:-1", "cuda:x", "cuda:999")
    ),
    ((*RUN, "--device", "cuda:99"), "device 'cuda:99' is not available: "),
    ((*RUN, "--device", "cpu", "--precision", "tf32"), "precision tf32 needs a CUDA GPU"),
    ((*RUN, "--labels", "1298"), "1298 labels do not fit digits: there must be at least 10"),
    ((*RUN, "--labels", "9"), "one for each class, and at most 1297, the number of training images"),
    ((*RUN, "--labels", "0"), "0 labels do not fit digits"),
    ((*RUN, "--seeds", "2", "--seed-list", "1"), "--seeds and --seed-list exclude each other: give one of them"),
    ((*RUN, "--seeds", "99999999"), "99999999 is not in the range 1<=x<=10000"),
    *(
        ((*RUN, option, value), f"{option} {value[:20]}")
        for option in ("--replicas-at-once", "--processes")
        for value in ("", "0", "-1", "1.5", "all", "AUTO", "²", "½", " 1", "+1", "nan", HUGE)
    ),
    ((*RUN, "--processes", "999"), "there is 1 core here; give at most that many, or auto"),
    ((*RUN, "--time-limit", "nan"), "'nan' is no time: it must be a number of seconds above 0, or such as 90m"),
    ((*RUN, "--dry-run", "--model", "lader"), "the recipe has no model 'lader'"),
    ((*RUN, "--dry-run", "--labels", "5"), "5 labels do not fit digits"),
    # What the others refuse.
    (("recipes", "show", "demmo"), "unknown recipe 'demmo' (did you mean 'demo'?)"),
    (("table", "a\0b"), "Invalid value for 'FOLDERS...': the path has a zero byte"),
    (("data", "describe", "mnits"), "there is no data set or path 'mnits'"),
    (("data", "describe", "\udcff\n"), r"there is no data set or path '\udcff\n'"),
    (("table", "no/folder"), "no/folder is not a run folder: it has no run.json"),
    (("bench", "--replicas", "0"), "--replicas: must be whole numbers from 1 to 1000, such as 1,2,4"),
    (("bench", "--replicas", "1,4294967295"), "--replicas: must be whole numbers from 1 to 1000, such as 1,2,4"),
    (("bench", "--recipe", "none"), "unknown recipe 'none'"),
    (("bench", "--set", "x"), "must be key=value"),
    (("bench", "--device", "tpu"), "unknown device 'tpu'"),
    (("models", "none"), "there is no model file or run folder 'none'"),
    (("models", "x" * 300), "File name too long"),
    (("report", "none"), "none is not a run folder: it has no run.json"),
    (("predict", "none", "digits"), "there is no model file or run folder 'none'"),
    (("margin", "--recipe", "none"), "unknown recipe 'none'"),
    (("margin", "--recipe", "figure4-gan"), "the recipe figure4-gan has no model with a margin: name another with"),
    (
        ("margin", "--model", "x", "--data", "digits"),
        "the recipe has no model 'x': it has ladder, ladder-matched, ",
    ),
    (("margin", "--model", "ladder", "--data", "digits"), "ladder has no margin: name a model that has, such as"),
    (("margin", "--data", "none"), "none"),
    (("score", "none"), "there is no run folder, model file, file or folder of images 'none'"),
    (("score", "x" * 300), "File name too long"),
    (("score", "digits"), "have shape [8, 8]"),
    (("score", "mnist", "--model", "ebgan-ladder"), "'mnist' is no model: leave out --model, --labels and --seed"),
    (("score", "mnist", "--device", "tpu"), "unknown device 'tpu'"),
    (("sample", "none", "--output", "x.png"), "there is no model file or run folder 'none'"),
    (("sample", "none", "--output", "x.gif"), "--output x.gif: must end in .png or .npz"),
]


@pytest.mark.parametrize(
    ("command", "expected"), REFUSED, ids=[" ".join(word[:20] for word in command) for command, _ in REFUSED]
)
def test_what_the_commands_themselves_refuse(here: Path, command: Path_, expected: str) -> None:
    assert expected in refused(here, *command)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three models, images for them and a file that is none of it."""
    folder = tmp_path_factory.mktemp("trained")
    trained.run_folder(folder, ("ladder", 9, 0), ("ladder", 9, 1), ("ebgan-ladder", 9, 0))
    np.save(folder / "images.npy", trained.images(4))
    (folder / "text").write_text("precious")
    return folder


PREDICT, SAMPLE = ("predict", "models"), ("sample", "models", "--output", "x.png")
EBGAN = ("--model", "ebgan-ladder")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((*PREDICT, "images.npy"), "choose with --model and --seed (--seed all averages the seeds)"),
        (
            (*PREDICT, "images.npy", "--model", "lader"),
            "'models' has no model with model lader; it has ebgan-ladder",
        ),
        ((*PREDICT, "images.npy", "--labels", "10"), "has no model with 10 labels"),
        ((*PREDICT, "images.npy", *EBGAN, "--seed", "0,7"), "seed 7; it has "),
        ((*PREDICT, "images.npy", *EBGAN, "--device", "tpu"), "unknown device 'tpu'"),
        ((*PREDICT, "images.npy", *EBGAN, "--labels-from", "none"), "No such file or directory"),
        ((*PREDICT, "images.npy", *EBGAN, "--labels-from", "."), "Is a directory"),
        ((*PREDICT, "images.npy", *EBGAN, "--output", "."), "File '.' is a directory"),
        ((*PREDICT, "images.npy", *EBGAN, "--output", "text/x"), "name a file with --output"),
        ((*PREDICT, "images.npy", *EBGAN, "--output", "x" * 300), "File name too long; name a file with --output"),
        ((*PREDICT, "", *EBGAN), "there is no data set, file or folder ''"),
        ((*PREDICT, "none", *EBGAN), "there is no data set, file or folder 'none'"),
        (
            (*PREDICT, "text", *EBGAN),
            "the file 'text' holds no images that can be read; images must be an IDX file",
        ),
        ((*PREDICT, "text", "images.npy", *EBGAN), "is no PNG file: give PNG files only, or one file of arrays"),
        ((*PREDICT, "digits", *EBGAN), "have shape [8, 8]; the model takes [2, 4]"),
        ((*PREDICT, "models", *EBGAN), "holds no PNG files"),
        (("predict", "text", "images.npy"), "'text' is no model file, or a damaged one"),
        (("predict", "images.npy", "images.npy"), "'images.npy' is no model file, or a damaged one"),
        (("predict", ".", "images.npy", "--seed", "7"), "'.' has no model with seed 7"),
        (("models", "text"), "'text' is no model file, or a damaged one"),
        (("report", "models"), "models is not a run folder: it has no run.json"),
        (("report", "text"), "text is not a run folder, but a file: name the folder of a run"),
        (("table", "text"), "text is not a run folder, but a file: name the folder of a run"),
        ((*SAMPLE, "--seed", "3"), "has no model with seed 3"),
        ((*SAMPLE, "--model", "ladder", "--seed", "0"), "has no generator"),
        ((*SAMPLE, "--device", "cuda:x"), "unknown device 'cuda:x'"),
        (("sample", "models", "--output", "text/x.png"), "name a file with --output"),
        (("score", "models"), "is of images of 2 x 4: only digits of 28 x 28 can be scored"),
        (("score", "models", "--seed", "3"), "has no model with seed 3"),
        (("score", "images.npy"), "the images of 'images.npy' have shape [8]; the model takes [28, 28]"),
        (("score", "text"), "the file 'text' holds no images that can be read"),
        (("score", "."), "is of images of 2 x 4"),
    ],
    ids=lambda value: " ".join(word[:20] for word in value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_with_models_is_refused(
    models: Path, monkeypatch: pytest.MonkeyPatch, command: Path_, expected: str
) -> None:
    monkeypatch.chdir(models)
    assert expected in refused(models, *command)


@pytest.mark.parametrize("option", ["COMPILE", "FRESH", "JSON", "QUIET", "VERBOSE", "DRY_RUN"])
def test_a_flag_in_the_environment_is_yes_or_no(here: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv(f"LADDER_EBGAN_RUN_{option}", "perhaps")
    assert "'perhaps' is not a valid boolean" in refused(here, *RUN)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("LABELS", "many", "Invalid value for '--labels': 'many' is not a whole number"),
        ("SEEDS", "0", "Invalid value for '--seeds': 0 is not in the range"),
        ("SEED_LIST", "-1", "Invalid value for '--seed-list': '-1' has a negative number"),
        ("MODEL", "lader", "the recipe has no model 'lader'"),
        ("RECIPE", "none", "unknown recipe 'none'"),
        ("SET", "x", "--set x: must be key=value"),
        ("DEVICE", "tpu", "unknown device 'tpu'"),
        ("PRECISION", "half", "'half' is not one of 'auto', 'float32'"),
        ("REPLICAS_AT_ONCE", "0", "--replicas-at-once 0: must be auto"),
        ("PROCESSES", "0", "--processes 0: must be auto"),
        ("TIME_LIMIT", "soon", "Invalid value for '--time-limit': 'soon' is no time"),
    ],
)
def test_a_wrong_value_in_the_environment_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"LADDER_EBGAN_RUN_{option}", value)
    assert expected in refused(here, *RUN)


# Recipes


TABLE2 = recipe_text("table2")


def with_seeds(text: str) -> str:
    return TABLE2.replace("n_seeds = 15", f"n_seeds = {text}")


NO_RECIPES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the key 'labels' is missing"),
    "only a comment": ("# nothing\n", "the key 'labels' is missing"),
    "UTF-16": (TABLE2.encode("utf-16"), "it is not UTF-8 text"),
    "Latin-1": (TABLE2.encode() + b"# \xe9", "it is not UTF-8 text"),
    "a zero byte": (TABLE2 + "\0", "is not valid TOML: Invalid statement"),
    "binary": (bytes(range(256)), "it is not UTF-8 text"),
    "JSON": ('{"labels": [100]}', "is not valid TOML: Invalid statement (at line 1, column 1)"),
    "YAML": ("labels: [100]\n", "is not valid TOML: Expected '='"),
    "HTML": ("<html></html>", "is not valid TOML"),
    "a key twice": (TABLE2.replace("n_seeds = 15", "n_seeds = 15\nn_seeds = 16"), "Cannot overwrite a value"),
    "a section twice": (f"{TABLE2}\n[ladder]\nn_steps = 1\n", "Cannot declare ('ladder',) twice"),
    "a section in a section": (f"{TABLE2}\n[ladder.extra]\nx = 1\n", f"unknown key 'ladder.extra': {OF_LADDER}"),
    "a list of sections": (TABLE2.replace("[ladder]", "[[ladder]]"), "input should be an object"),
    "a misspelt section": (TABLE2.replace("[network]", "[netwrok]"), "'netwrok' (did you mean 'network'?)"),
    "a misspelt model": (TABLE2.replace("[ladder]", "[laddder]"), "'laddder' (did you mean 'ladder'?)"),
    "an underscore": (TABLE2.replace("ebgan-ladder", "ebgan_ladder"), "(did you mean 'ebgan-ladder'?)"),
    "capitals": (TABLE2.replace("n_seeds", "N_SEEDS"), "unknown key 'N_SEEDS'"),
    "a misspelt key": (TABLE2.replace("n_steps", "nsteps"), "'ladder.nsteps' (did you mean 'n_steps'?)"),
    "a line break in a key": (with_seeds('15\n"a\\nb" = 3'), r"unknown key 'a\nb'"),
    "an empty key": (with_seeds('15\n"" = 3'), "unknown key ''"),
    "text for a number": (with_seeds("'15'"), 'n_seeds is "15": input should be a valid integer'),
    "a boolean for a number": (with_seeds("true"), "n_seeds is true: input should be a valid integer"),
    "a fraction for a whole number": (with_seeds("15.0"), "n_seeds is 15.0: input should be a valid integer"),
    "a date": (with_seeds("2024-01-01"), "dates are not allowed in a recipe"),
    "a table for a number": (with_seeds("{a = 1}"), 'n_seeds is {"a": 1}: input should be a valid integer'),
    "4000 digits": (with_seeds("9" * 4000), "99 ...: input should be less than or equal to 10000"),
    "9000 brackets": (with_seeds("[" * 9000 + "]" * 9000), "maximum recursion depth exceeded"),
    "900 sections deep": (f"{TABLE2}\n[{'.'.join('a' * 900)}]\n", "it is nested too deeply"),
    "9000 sections deep": (f"{TABLE2}\n[{'.'.join('a' * 9000)}]\n", "it is nested too deeply"),
    "a line break in a value": (TABLE2.replace('"linear"', '"a\\nb"'), r'shape is "a\nb": input should be'),
    "half a character": (TABLE2.replace('"linear"', '"\\ud800"'), "is not valid TOML"),
    "a long value": (TABLE2.replace('"linear"', f'"{"x" * 90_000}"'), "xx ...: input should be 'linear' or"),
    "no layers": (TABLE2.replace("[1000, 500, 250, 250, 250]", "[]"), "network.hidden_sizes is []"),
    "a layer of 1e3": (TABLE2.replace("[1000, 500, 250, 250, 250]", "[1e3]"), "hidden_sizes.0 is 1000.0"),
    "a layer of 10^6": (TABLE2.replace("[1000, 500, 250, 250, 250]", "[1000000]"), "less than or equal to 100000"),
    "one value for two steps": (TABLE2.replace("values = [16, 0]", "values = [16]"), "has 2 steps and 1 values"),
    "a list in the list": (TABLE2.replace("labels = [100]", "labels = [[100]]"), "labels.0 is [100]: input should"),
    "too long a file": (TABLE2 + "#" * 100_000, "bytes: a recipe is a TOML file of at most 100,000 bytes"),
}


@pytest.mark.parametrize(("content", "expected"), NO_RECIPES.values(), ids=NO_RECIPES)
def test_a_file_that_is_no_recipe_is_refused(here: Path, content: str | bytes, expected: str) -> None:
    (here / "mine.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected in refused(here, *RUN, "--recipe", "mine.toml")


def test_what_is_no_file_is_no_recipe(here: Path) -> None:
    """A pipe or a device may have no end."""
    (here / "folder.toml").mkdir()
    os.mkfifo(here / "pipe.toml")
    (here / "zeros.toml").symlink_to("/dev/zero")
    (here / "loop.toml").symlink_to("loop.toml")
    for name in ("folder", "pipe", "zeros"):
        assert "is not a file: a recipe is a TOML file" in refused(here, "recipes", "show", f"{name}.toml")
    assert "Too many levels of symbolic links" in refused(here, "recipes", "show", "loop.toml")


def test_a_recipe_from_an_editor_of_another_system_is_read(here: Path) -> None:
    for content in (b"\xef\xbb\xbf" + TABLE2.encode(), TABLE2.replace("\n", "\r\n").encode()):
        (here / "mine.toml").write_bytes(content)
        assert load_recipe("mine.toml") == load_recipe("table2")


@examples
@given(data=st.data())
def test_any_damage_to_a_recipe_gives_a_recipe_or_one_line(here: Path, data: st.DataObject) -> None:
    """Characters changed, cut off or put in, and lines twice, missing or in another place."""
    lines = TABLE2.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(0, 3))):
        line = lines.pop(data.draw(st.integers(0, len(lines) - 1)))
        lines[data.draw(st.integers(0, len(lines))) : 0] = [line] * data.draw(st.integers(0, 2))
    text = "".join(lines)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    inserted = data.draw(
        st.text(max_size=5) | st.sampled_from(["[", "]", "=", '"', "[[x]]\n", "1e999", "9" * 5000])
    )
    damaged = text[:start] + inserted + text[start if data.draw(st.booleans()) else end :]
    (here / "mine.toml").write_bytes(damaged.encode("utf-8", "surrogatepass"))
    with suppress(UsageError):
        assert isinstance(load_recipe("mine.toml"), Recipe)


words = st.text(st.characters(exclude_characters="\0"), max_size=8)
keys = st.sampled_from(["ladder.n_steps", "n_seeds", "labels", "network.hidden_sizes", "ladder", "x", "a.b.c", ""])
values = words | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["[", "{}", "[1]", "true", "''"])
tokens = st.one_of(
    st.tuples(st.just("--set"), st.tuples(keys, values).map("=".join)),
    st.tuples(st.sampled_from(["--labels", "--seeds", "--seed-list", "--time-limit", "--model"]), values),
    st.tuples(st.sampled_from(["--replicas-at-once", "--processes", "--recipe", "--precision"]), values),
    st.tuples(st.sampled_from(["--fresh", "--quiet", "--json", "--verbose", "--no-compile", "--dry-run"])),
)


@examples
@given(options=st.lists(tokens, max_size=5))
def test_whatever_the_options_are_there_is_a_request_or_one_line(here: Path, options: list[Path_]) -> None:
    def stop(request: experiment.Request, *_: object, **__: object) -> NoReturn:
        assert isinstance(request.recipe, Recipe)
        raise UsageError("everything is right so far")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "open_experiment", stop)
        refused(here, "run", *(word for option in options for word in option))
