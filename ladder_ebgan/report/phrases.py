"""How the events and numbers of a run are said, wherever they are shown."""

from collections.abc import Iterable, Iterator

from ladder_ebgan.alarms import Alarm
from ladder_ebgan.experiment import Event
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted
from ladder_ebgan.report.seeds import seeds_phrase
from ladder_ebgan.report.tracker import Costs, mean_costs, point_costs
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group


def event_lines(event: Event, verbose: bool) -> Iterator[str]:
    """Yield what is to be said of an event: the results of a group and, if `verbose`, its curve points."""
    if isinstance(event, GroupFinished):
        yield from map(result_line, event.results)
    elif isinstance(event, CurveMeasured) and verbose:
        for labels in sorted({point.labels for point in event.points}):
            yield curve_line([point for point in event.points if point.labels == labels])


def started_line(event: GroupStarted) -> str:
    """Say that a group has begun."""
    goes_on = f", going on from step {event.first_step}" if event.first_step else ""
    return f"{group_name(event.group)}: {event.n_steps} steps{goes_on}"


def result_line(result: Result) -> str:
    """Say what a replica has come to."""
    return f"  {result.model}{_labels([result.labels])}, seed {result.seed}: {outcome(result)}"


def outcome(result: Result) -> str:
    """Say in words what a replica has come to."""
    if result.status == "diverged":
        return f"diverged at step {result.diverged_step}"
    if result.test_error_percent is not None:
        return f"test error {result.test_error_percent:.2f} %"
    score = result.modified_inception_score
    return "done" if score is None else f"modified inception score {score:.2f}"


def _labels(budgets: Iterable[int]) -> str:
    """Say with how many labels, behind a comma; nothing where there are none."""
    listed = ", ".join(str(labels) for labels in sorted(set(budgets)) if labels)
    return f", {listed} labels" if listed else ""


def curve_line(points: list[CurvePoint]) -> str:
    """Say what the points of one model and budget at one step have in the mean."""
    first, errors = points[0], [p.unlabeled_error_percent for p in points if p.unlabeled_error_percent is not None]
    which = f"{first.model}{_labels([first.labels])}, {seeds_phrase(point.seed for point in points)}"
    error = sum(errors) / len(errors) if errors else None
    phrases = [*cost_phrases(mean_costs(map(point_costs, points)), first.margin, error)]
    diversities = [point.generated_diversity for point in points if point.generated_diversity is not None]
    phrases += [f"diversity {sum(diversities) / len(diversities):.2f}"] if diversities else []
    return f"  {which}, step {first.step}: {', '.join(phrases)}"


def alarm_line(alarm: Alarm) -> str:
    """Say what is wrong with a replica."""
    if alarm.kind == "collapse":
        what = f"mode collapse since step {alarm.step}, generated examples are only {alarm.diversity:.2g} times as "
        what += "far apart as real ones"
    else:
        what = f"hinges closed since step {alarm.step}, every generated example has more energy than the margin"
    return f"  Alarm, {alarm.model}{_labels([alarm.labels])}, seed {alarm.seed}: {what}"


def cost_phrases(costs: Costs, margin: float | None, error: float | None) -> Iterator[str]:
    """Yield what there is to say of costs and of the error in percent on unlabelled images."""
    if costs.classification is not None:
        yield f"classification {costs.classification:.3g}"
    if costs.denoising is not None:
        yield f"denoising {costs.denoising:.3g}"
    if costs.energy_real is not None and costs.energy_generated is not None:
        yield f"energy {costs.energy_real:.3g} real {costs.energy_generated:.3g} generated"
    if margin is not None:
        yield f"margin {margin:.3g}"
    if costs.open_hinges_percent is not None:
        yield f"open hinges {costs.open_hinges_percent:.0f} %"
    if error is not None:
        yield f"unlabelled error {error:.2f} %"


def duration(seconds: float) -> str:
    """Return a duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.0f} days"


def group_name(group: Group) -> str:
    """Say which replicas a group has."""
    budgets = _labels(replica.labels for replica in group.replicas)
    return f"{group.model}{budgets}, {seeds_phrase(replica.seed for replica in group.replicas)}"
