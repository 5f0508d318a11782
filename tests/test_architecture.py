"""Imports point one way, as docs/design.md has it under 'Package'."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ladder_ebgan

ROOT = Path(ladder_ebgan.__file__).parent
EVERYWHERE = {"_version", "errors", "processor", "results", "streams"}

# What each module may import of ours, beside EVERYWHERE. A new module needs an entry; nobody imports cli.
ALLOWED: dict[str, set[str]] = {
    "": {"estimators"},
    "_version": set(),
    "errors": set(),
    "processor": set(),
    "results": {"energy_bins"},
    "energy_bins": set(),
    "streams": set(),
    # Leaves.
    "data": {"data", "scaling"},
    "combinators": set(),
    "layers": {"combinators"},
    "products": set(),
    "energies": set(),
    "losses": set(),
    "diversity": set(),
    "alarms": set(),
    "philox": set(),
    "schedules": set(),
    "statistics": set(),
    "crossed": {"statistics"},
    "ranks": set(),
    "theory": set(),
    "scores": {"statistics"},
    "overrides": set(),
    "checking": {"overrides", "recipe_files"},
    "recipe": {"checking", "overrides", "recipe_files"},
    "gan": set(),
    "gan.recipe": {"checking", "recipe"},
    "gan.frame": set(),
    "any_recipe": {"checking", "gan.recipe", "recipe"},
    "recipe_files": set(),
    "replica_optimizers": set(),
    "floor": {"combinators", "recipe"},
    "sizing": {"overrides", "recipe"},
    "interruption": set(),
    "kernels": {"combinators", "kernels"},
    "kernels.library": set(),
    "capture": {"kernels", "layers", "philox"},
    # Models.
    "ladder": {"combinators", "layers", "products"},
    "averaging": {"ladder"},
    "generator": {"layers", "products"},
    "drawing": {"generator"},
    "gan.discriminator": {"layers", "products"},
    # Training and evaluation.
    "batches": {"data", "philox"},
    "stepping": {"batches", "capture", "replica_optimizers"},
    "gan.batches": {"batches", "data", "gan.frame", "philox"},
    "gan.training": {
        *{"capture", "energies", "gan.batches", "gan.discriminator", "gan.recipe", "generator", "layers", "losses"},
        *{"philox", "recipe", "replica_optimizers", "stepping"},
    },
    "evaluation": {"energies", "ladder", "layers"},
    "consistency": {"ladder", "losses"},
    "costs": {"capture", "energies", "generator", "ladder", "layers", "losses", "philox"},
    "training": {
        *{"averaging", "batches", "consistency", "costs", "gan.recipe", "generator", "ladder", "losses", "recipe"},
        *{"replica_optimizers", "schedules", "stepping"},
    },
    "tensor_files": set(),
    "checkpoints": {
        *{"gan.training", "generator", "ladder", "model_files", "replica_optimizers", "scaling", "tensor_files"},
        "training",
    },
    "machine": {"capture", "recipe", "system"},
    "scaling": set(),
    "system": set(),
    "record": {"overrides"},
    "rows": set(),
    "folders": set(),
    "runs": {"folders", "record", "rows", "system"},
    "model_files": {"any_recipe", "recipe"},
    "models": {
        *{"checkpoints", "folders", "generator", "ladder", "machine", "model_files", "recipe", "scaling"},
        *{"tensor_files", "training"},
    },
    "prediction": {"evaluation", "models", "scaling"},
    "sampling": {"drawing", "models", "prediction"},
    "gan.models": {
        *{"drawing", "energies", "gan.frame", "gan.recipe", "gan.training", "machine", "model_files", "models"},
        *{"sampling", "tensor_files"},
    },
    "any_model": {"gan.models", "gan.recipe", "model_files", "models", "sampling"},
    "engine": {"batches", "costs", "data", "evaluation", "machine", "recipe", "training"},
    "gan.engine": {"data", "gan.batches", "gan.frame", "gan.recipe", "gan.training", "machine"},
    "outcome": {"data", "energy_bins", "machine", "recipe", "runs"},
    "ladder_task": {
        *{
            "checkpoints",
            "data",
            "diversity",
            "drawing",
            "engine",
            "evaluation",
            "ladder",
            "outcome",
            "runs",
            "training",
        },
    },
    "gan.scores": {
        *{"data", "drawing", "gan.engine", "gan.frame", "gan.training", "quality", "quality.comparison"},
    },
    "gan.task": {
        *{"diversity", "drawing", "gan.engine", "gan.models", "gan.scores", "gan.training", "outcome", "runs"},
    },
    "alone": {
        *{
            "any_recipe",
            "batches",
            "data",
            "energies",
            "engine",
            "gan.engine",
            "gan.frame",
            "gan.recipe",
            "machine",
        },
        *{"recipe", "stepping", "training"},
    },
    "margin": {"alone", "statistics"},
    "group": {"checkpoints", "gan.training", "runs", "training"},
    "timing": {
        *{"any_recipe", "batches", "capture", "engine", "gan.engine", "gan.recipe", "gan.training", "recipe"},
        "training",
    },
    "planning": {"runs"},
    "processes": {"any_recipe", "machine", "planning", "runs", "timing", "training"},
    "trainer": {
        *{
            "any_recipe",
            "data",
            "engine",
            "gan.engine",
            "gan.recipe",
            "gan.task",
            "group",
            "ladder_task",
            "machine",
        },
        *{"runs", "timing"},
    },
    "workers": {"any_recipe", "data", "group", "machine", "runs", "timing", "trainer"},
    "experiment": {
        *{
            "any_recipe",
            "checkpoints",
            "data",
            "folders",
            "gan.frame",
            "gan.recipe",
            "group",
            "kernels",
            "machine",
            "planning",
        },
        *{"processes", "runs", "timing", "trainer", "training", "workers"},
    },
    "probes": {"batches", "capture", "costs", "floor", "machine", "products", "timing", "training"},
    "bench": {"data", "engine", "floor", "machine", "probes", "recipe", "timing", "training"},
    "disk": {"any_recipe", "data", "floor", "gan.frame", "gan.recipe", "gan.task", "ladder_task", "training"},
    "dry_run": {"disk", "experiment", "folders", "group", "planning", "runs", "system"},
    "doctor.finding": set(),
    "doctor.packages": set(),
    "doctor.environment": {"doctor.finding"},
    "doctor.files": {"data", "doctor.finding", "system"},
    "doctor.hardware": {"capture", "doctor.finding", "doctor.packages", "machine", "system"},
    "doctor.software": {"capture", "doctor.finding", "doctor.packages", "kernels", "system"},
    "doctor.start": {"doctor.finding", "machine", "processes", "recipe"},
    "doctor": {
        *{"doctor.environment", "doctor.files", "doctor.finding", "doctor.hardware", "doctor.software"},
        "doctor.start",
    },
    # Scores of generated images.
    "quality.scores": set(),
    "quality.classifier": {"tensor_files"},
    "quality.measure": {"gan.frame", "quality.classifier", "quality.scores"},
    "quality.train_classifier": {"data", "folders", "machine", "quality.classifier", "tensor_files"},
    "quality.comparison": {"data", "quality.classifier", "quality.measure"},
    "quality": {"quality.classifier", "quality.measure"},
    # The scikit-learn face.
    "estimators.labels": {"data"},
    "estimators.seeds": set(),
    "estimators.progress": set(),
    "estimators.splitting": {"estimators.labels"},
    "estimators.rows": {"data", "scaling"},
    "estimators.settings": {"recipe", "sizing"},
    "estimators.inference": {"ladder", "models"},
    "estimators.fitting": {"engine", "evaluation", "ladder", "training"},
    "estimators.packing": {"model_files", "models", "recipe"},
    "estimators.saving": {
        *{"estimators.settings", "folders", "machine", "model_files", "models", "recipe", "tensor_files"},
    },
    "estimators.trained": {
        *{"estimators.inference", "estimators.labels", "estimators.packing", "estimators.rows"},
        *{"estimators.saving", "evaluation", "models", "prediction"},
    },
    "estimators.base": {
        *{"checkpoints", "data", "engine", "estimators.fitting", "estimators.labels", "estimators.progress"},
        *{"estimators.rows", "estimators.saving", "estimators.seeds", "estimators.settings", "estimators.trained"},
        *{"ladder", "machine", "model_files", "models", "recipe", "scaling"},
    },
    "estimators.classifiers": {"estimators.base", "recipe", "sampling"},
    "estimators": {"estimators.classifiers", "estimators.splitting"},
    # Hyper-parameter search.
    "search": set(),
    "search.space": {"any_recipe", "checking", "gan.recipe", "recipe", "recipe_files"},
    "search.slices": {"search.space"},
    "search.stacking": {"any_recipe", "gan.recipe", "recipe"},
    "search.events": {"any_recipe"},
    "search.validation": {"data"},
    "search.choice": set(),
    "search.ladders": {
        *{"checkpoints", "data", "engine", "evaluation", "recipe", "search.events", "search.space", "training"},
    },
    "search.gans": {
        "gan",
        "gan.engine",
        "gan.recipe",
        "gan.scores",
        "gan.training",
        "search.events",
        "search.space",
    },
    "search.batch": {"checkpoints", "folders", "search.events", "search.gans", "search.ladders"},
    "search.study": {"search.events", "search.space", "search.stacking"},
    "search.trainer": {
        *{"data", "engine", "gan.engine", "gan.scores", "machine", "search.batch", "search.events", "search.gans"},
        *{"search.ladders", "search.space"},
    },
    "search.workers": {"search.events", "search.trainer", "workers"},
    "search.search": {
        *{"data", "folders", "gan.scores", "machine", "search.events", "search.space", "search.study"},
        *{"search.trainer", "search.validation", "search.workers"},
    },
    "search.outcomes": {"search.space", "search.study"},
    "search.summary": {
        *{"folders", "recipe", "search.choice", "search.outcomes", "search.search", "search.space"},
    },
    "search.gan_summary": {
        *{"folders", "recipe", "search.search", "search.space", "search.study", "search.summary"},
    },
    "search.estimate": {
        *{"gan", "gan.engine", "gan.frame", "gan.recipe", "gan.scores", "machine", "search.space"},
        *{"search.stacking", "search.study", "search.trainer", "timing"},
    },
    "search.grid": {
        *{"any_recipe", "gan.recipe", "overrides", "search.gan_summary", "search.search", "search.space"},
        "search.study",
    },
    "search.grid_comparison": {"folders", "ranks", "search.grid", "statistics"},
    # What is looked at: it reads the run's folder and the loop's events, and nobody below knows of it.
    "report": set(),
    "report.seeds": set(),
    "report.table": {"statistics"},
    "report.figures.drawing": {"folders"},
    "report.figures.errors": {"report.figures.drawing", "report.table", "statistics"},
    "report.figures.curves": {"report.figures.drawing", "report.table", "statistics"},
    "report.figures.histograms": {"energy_bins", "report.figures.curves", "report.figures.drawing"},
    "report.figures.sheet": {"report.figures.drawing"},
    "report.figures.pictures": {"report.figures.drawing", "report.figures.sheet"},
    "report.figures.mistakes": {"report.figures.drawing", "report.figures.sheet"},
    "report.figures.confusion": {"report.figures.drawing", "report.figures.sheet"},
    "report.figures.theory": {"report.figures.drawing", "theory"},
    "report.figures.stored": {"data", "report.table", "runs"},
    "report.figures.of_run": {
        *{"data", "report.figures.confusion", "report.figures.curves", "report.figures.errors"},
        *{"report.figures.mistakes", "report.figures.pictures", "report.figures.sheet", "report.figures.stored"},
        *{"folders", "report.figures.histograms", "runs"},
    },
    "report.figures": {
        *{"report.figures.confusion", "report.figures.curves", "report.figures.errors", "report.figures.mistakes"},
        *{"report.figures.histograms", "report.figures.of_run", "report.figures.pictures"},
    },
    "report.alarm_notes": {"alarms", "report.seeds", "runs"},
    "report.table_layout": {"report.lines", "report.table", "statistics"},
    "report.table_formats": {"report.lines", "report.table", "report.table_layout"},
    "report.latex": {"report.seeds", "report.table", "report.table_layout"},
    "report.gan_table": {"report.latex", "report.lines", "report.table", "report.table_layout", "statistics"},
    "report.outputs": {
        *{"folders", "overrides", "recipe", "report.gan_table", "report.latex", "report.seeds", "report.table"},
        *{"report.alarm_notes", "report.table_formats", "runs"},
    },
    "report.page_figures": {"report.figures.drawing", "report.table"},
    "report.page": {
        *{
            "any_recipe",
            "planning",
            "recipe",
            "recipe_files",
            "report.figures.of_run",
            "report.gan_table",
            "report.outputs",
            "report.page_figures",
            "report.table",
        },
        *{"report.table_layout", "runs", "statistics"},
    },
    "report.tracker": {
        *{"alarms", "experiment", "gan.training", "group", "planning", "runs", "timing", "training"},
    },
    "report.phrases": {"alarms", "experiment", "group", "report.seeds", "report.tracker", "runs"},
    "report.progress": {"experiment", "group", "report.phrases", "report.tracker"},
    "report.screen": {
        *{"interruption", "report.lines", "report.phrases", "report.seeds", "report.tracker", "statistics"},
    },
    "report.live": {"experiment", "group", "interruption", "report.phrases", "report.screen", "report.tracker"},
    "report.display": {
        *{"experiment", "interruption", "report.lines", "report.live", "report.progress", "report.tracker"}
    },
    "report.data_notes": {"data", "experiment", "recipe"},
    "report.announcement": {"experiment", "machine", "processes", "report.data_notes", "report.phrases"},
    "report.bench": {"bench"},
    "report.lines": {"statistics"},
    "report.doctor": {"doctor", "report.lines"},
    "report.dry_run": {
        *{"dry_run", "processes", "report.announcement", "report.data_notes", "report.lines", "report.phrases"},
        *{"report.seeds", "sizing"},
    },
    "report.predictions": {"data", "models", "prediction", "scores"},
    "report.mosaic": set(),
    "report.margin": {"alone", "margin", "report.lines", "report.seeds", "statistics"},
    "report.quality": {"quality.comparison", "quality.measure", "report.lines"},
    "report.search": {"report.lines", "search.outcomes", "search.summary", "statistics"},
    "report.gan_search": {"report.search", "search.gan_summary"},
    "report.search_estimate": {"report.lines", "report.phrases", "search.estimate", "search.trainer"},
    "report.search_progress": {
        *{"report.lines", "report.phrases", "search.events", "search.gan_summary", "search.outcomes"},
        *{"search.search", "search.space", "search.study", "search.trainer"},
    },
    "report.figures.search": {
        *{"report.figures.drawing", "search.choice", "search.gan_summary", "search.space"},
        *{"search.summary"},
    },
    "report.grid": {"ranks", "report.lines", "report.search", "search.grid", "search.grid_comparison"},
    "report.figures.grid": {"report.figures.drawing", "search.grid_comparison"},
    "commands": {
        *{"alone", "margin"},
        *{"any_model", "any_recipe", "bench", "commands", "data", "experiment", "folders", "gan", "interruption"},
        *{"doctor", "dry_run", "machine", "model_files", "models", "prediction", "quality", "recipe"},
        *{"recipe_files", "report", "runs", "sampling", "scores", "search", "sizing"},
    },
    "cli": {"commands"},
}
OUTSIDE = {"click": {"cli", "commands"}, "rich": {"commands", "report"}}  # packages that few may import
WITHOUT_TORCH = ["cli", "recipe", "data", "results", "streams", "errors", "statistics", "crossed", "report.latex"]
WITHOUT_TORCH += ["any_recipe", "model_files", "report.page", "scores"]

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(ROOT.rglob("*.py"))
}


def entry(module: str) -> str:
    """The entry of ALLOWED for a module: its own, or that of its package."""
    return module if module in ALLOWED else module.partition(".")[0]


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def own(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    prefix = "ladder_ebgan."
    return {name.removeprefix(prefix) for name in imports(path)} & (FILES.keys() - {""}) - {"ladder_ebgan"}


def test_the_walk_sees_imports() -> None:
    assert own(FILES["ladder"]) == {"combinators", "layers", "products"}
    assert {"report.display", "experiment"} <= own(FILES["commands.run"])


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_it_may(module: str) -> None:
    assert entry(module) in ALLOWED, f"say in ALLOWED what {module} may import"
    if "." in module and module.partition(".")[0] not in {"commands", "data"}:
        assert module in ALLOWED, f"say in ALLOWED what {module} may import"
    allowed = ALLOWED[entry(module)] | EVERYWHERE
    wrong = {name for name in own(FILES[module]) if name not in allowed and name.partition(".")[0] not in allowed}
    assert wrong == set()


def test_the_table_has_no_entry_without_a_module() -> None:
    assert set(ALLOWED) <= set(FILES)


def test_the_table_has_no_cycle() -> None:
    seen: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"{' -> '.join(trail)} -> {module}"
        if module not in seen:
            for other in ALLOWED[module] - {module}:
                visit(other, (*trail, module))
            seen.add(module)

    for module in ALLOWED:
        visit(module, ())


@pytest.mark.parametrize("module", FILES)
def test_click_and_rich_stay_where_they_are(module: str) -> None:
    used = {name.partition(".")[0] for name in imports(FILES[module])}
    for package, places in OUTSIDE.items():
        assert package not in used or module.partition(".")[0] in places


@pytest.mark.parametrize("module", FILES)
def test_nobody_imports_the_command_line(module: str) -> None:
    assert "cli" not in own(FILES[module])


def test_torch_is_imported_only_where_it_computes() -> None:
    modules = ", ".join(f"ladder_ebgan.{module}" for module in WITHOUT_TORCH)
    program = f"import sys, {modules}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("module", FILES)
def test_files_are_short_enough_to_be_read(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= 400
