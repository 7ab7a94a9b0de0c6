"""Lines of the tables, as they stand on the page and on the screen: values and differences in percent."""

from typing import Any, NamedTuple

Json = dict[str, Any]
METRICS = ("auroc", "fpr95_ood_pos", "fpr95_id_pos")


class Line(NamedTuple):
    """A method judged by one score."""

    method: str
    score: str


def compared(report: Json) -> list[Line]:
    """Return ours, cross-entropy and candidates with every score, published methods with their papers', best first."""
    roles = ("ours", "cross-entropy", "published", "reference", "candidate")
    return ranked(report, [line for line in _lines(report) if report["methods"][line.method]["role"] in roles])


def controls(report: Json) -> list[Line]:
    """Return ours, each synthesis method alone and the null controls, best first."""
    roles = ("ours", "alone", "null")
    return ranked(report, [line for line in _lines(report) if report["methods"][line.method]["role"] in roles])


def ranked(report: Json, lines: list[Line]) -> list[Line]:
    """Return lines by their AUROC, mean of near and far, the highest first."""
    return sorted(lines, key=lambda line: -overall(report, line))


def overall(report: Json, line: Line) -> float:
    """Return the mean AUROC of the groups."""
    groups = report["methods"][line.method]["scores"][line.score]
    return sum(float(group["auroc"]["mean"]) for group in groups.values()) / len(groups)


def _lines(report: Json) -> list[Line]:
    return [
        Line(name, score)
        for name, method in report["methods"].items()
        for score in (method["scores"] if method["role"] in ("cross-entropy", "candidate") else [method["score"]])
    ]


def groups_of(report: Json) -> list[str]:
    """Return the groups that have sets, the near one first."""
    return [group for group in ("near", "far") if report["groups"].get(group)]


def heading(report: Json) -> list[str]:
    """Return the names of the columns of `cells`."""
    columns = ["method", "score", "ID accuracy", "mean AUROC"]
    for group in groups_of(report):
        columns += [f"{group} AUROC", f"{group} FPR95 (OOD)", f"{group} FPR95 (ID)"]
    return [*columns, "ours - it: ID accuracy", *(f"ours - it: {group} AUROC" for group in groups_of(report))]


def cells(report: Json, line: Line) -> list[str]:
    """Return one line of a table."""
    method = report["methods"][line.method]
    mean = f"{100 * overall(report, line):.1f}"
    found = [method["title"], line.score, percent(method["id_accuracy"]), mean]
    for group in groups_of(report):
        found += [percent(method["scores"][line.score][group][name]) for name in METRICS]
    if method["role"] == "ours":
        return [*found, *["" for _ in range(1 + len(groups_of(report)))]]
    found.append(difference(method["id_accuracy"]["ours_minus"]))
    apart = method["ours_minus"][line.score]
    return [*found, *(difference(apart[group]["auroc"]) for group in groups_of(report))]


def best_heading(report: Json) -> list[str]:
    """Return the names of the columns of `best_cells`."""
    return ["method", *(f"{group} {name}" for group in groups_of(report) for name in ("score", "AUROC", "ours - it"))]


def best_cells(report: Json, name: str) -> list[str]:
    """Return what a method reaches with the score that the test sets favour, group by group, and ours minus it."""
    method = report["methods"][name]
    found = [method["title"]]
    for group in groups_of(report):
        score = method["best"][group]
        apart = method["ours_minus"][score][group]["auroc"]
        found += [score, percent(method["scores"][score][group]["auroc"]), difference(apart)]
    return found


def short_cells(reports: list[Json]) -> list[list[str]]:
    """Return what ours is beside cross-entropy with its best score, and beside others in the mean of all groups."""
    best = [
        [f"cross-entropy by its best score, {group} AUROC", *(_beside_best(report, group) for report in reports)]
        for group in ("near", "far")
    ]
    accuracy = [difference(report["methods"]["cross_entropy"]["id_accuracy"]["ours_minus"]) for report in reports]
    names = dict.fromkeys(
        name
        for report in reports
        for name, method in report["methods"].items()
        if method["role"] in ("published", "reference")
    )
    means = [[_title(reports, name), *(_beside(report, name) for report in reports)] for name in names]
    return [*best, ["cross-entropy, ID accuracy", *accuracy], *means]


def _beside_best(report: Json, group: str) -> str:
    method = report["methods"]["cross_entropy"]
    if group not in groups_of(report):
        return ""
    score = method["best"][group]
    return f"{difference(method['ours_minus'][score][group]['auroc'])} ({score})"


def _beside(report: Json, name: str) -> str:
    methods = report["methods"]
    if name not in methods:
        return ""
    ours = overall(report, Line("ours", methods["ours"]["score"]))
    return f"{100 * (ours - overall(report, Line(name, methods[name]['score']))):+.1f}"


def _title(reports: list[Json], name: str) -> str:
    found = next(report["methods"][name] for report in reports if name in report["methods"])
    return f"{found['title']}, mean AUROC"


def percent(value: Json) -> str:
    """Return mean ± std."""
    told = f"{100 * value['mean']:.1f}"
    return told if value["std"] is None else f"{told} ± {100 * value['std']:.1f}"


def difference(gain: Json) -> str:
    """Return a difference in points, its interval and the verdict on ours."""
    low, high = gain["ci95"]
    return f"{100 * gain['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) {gain['verdict']}"


def table(heading: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table in Markdown."""
    rule = "|---" * len(heading) + "|"
    return [_marked(heading), rule, *map(_marked, rows)]


def _marked(row: list[str]) -> str:
    return f"| {' | '.join(row)} |"
