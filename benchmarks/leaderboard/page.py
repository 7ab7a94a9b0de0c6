"""Write `docs/benchmarks/results.md` from the reports of the benchmarks."""

from collections.abc import Mapping

from benchmarks.leaderboard.default import Default
from benchmarks.leaderboard.lines import (
    Json,
    Line,
    best_cells,
    best_heading,
    cells,
    compared,
    controls,
    groups_of,
    heading,
    percent,
    short_cells,
    table,
)
from benchmarks.leaderboard.methods import METHODS
from pipeline.report.sentences import joined_words

TITLES = {
    "digits": "Digits",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_layer3": "CIFAR-10 on a classifier's last map",
    "cifar10_layer2": "CIFAR-10 on a classifier's middle map",
}
INTRODUCTION = """# Leaderboard

Written from the reports in [benchmarks/results](../../benchmarks/results): by `make leaderboard` with all methods, or
by `python -m benchmarks.leaderboard --benchmark NAME --methods ... --publish` with those that a table has. All are
trained on the same latents, with the same network and the same seeds; published ones are written anew from their papers
([benchmarks/leaderboard/peers](../../benchmarks/leaderboard/peers)), and are judged by the score of their paper. They
have the epochs and the learning rate of cross-entropy, but for LogitNorm, which has twice that rate, chosen by ID
accuracy, and clipped gradients, as NPOS has: they would not train without. Ours is what the preset says. Settings may
be chosen with `--development`, which holds other classes out and has pictures drawn by a program far; the ID test
images of those splits are partly those of the final ones.

In percent, mean ± std over seeds: AUROC, and FPR95 by both conventions, the share of ID flagged when 95 % of OOD is
caught (OOD) and the share of OOD accepted when 95 % of ID is (ID). A group is the unweighted mean over its sets, then
over the splits; lines are ordered by the mean of near and far AUROC. *ours - it* is our default with its headline
score minus the method of that line, with its 95 % interval (paired bootstrap over test images, and Student's interval
over seeds) and what it says of ours. The splits are fixed: an interval says nothing of other splits.
A replicate draws images once for all splits: far sets are the same in all, ID test images partly. There are many lines,
so that some verdicts are chance.

Outlier exposure with real outliers is no competitor but an upper reference: it is trained on images that are no part of
any OOD set, which synthetic outliers are there to do without."""
SHORT = """Ours less others, in points: less cross-entropy, which may choose its score on the test sets, near, far and
in ID accuracy, with 95 % intervals; less published methods and the upper reference, with the scores of their papers, in
the mean of near and far AUROC. Which default that was is said with each benchmark below."""
BEST = """With the score that does best for each method on the test sets of each group. No user could choose so, as it
takes the answers: it favours every method but ours."""
CONTROLS = """What of our default does it. Without outliers: the losses that need none, mixing and reconstruction, with
InfoNCE among ID rows, or with labels smoothed as much as being unsure of copies smooths them. Null: copies of ID
latents, or Gaussian latents, in place of outliers. Alone: one synthesis method, with as many rows as it has in our
default."""
ROWS = """Our default with other numbers of outliers of each synthesis method (`--rows`), and all else as it is: batches
and steps too, so that fewer outliers are seen more often."""
FROM_CIFAR100 = (
    "The encoder is a public ResNet-56 that was trained on all training images, those of ID validation too. The real "
    "outliers are the 1,000 images of CIFAR-100 that OpenOOD's near set lacks: of its own distribution."
)
REFERENCES = dict.fromkeys(("cifar10_layer3", "cifar10_layer2"), FROM_CIFAR100)
PICTURE = "../images/outliers_needed.png"
"""From the page."""


def page(reports: list[Json], by_rows: list[Json], today: Mapping[str, Default]) -> str:
    """Return the page in Markdown.

    by_rows: reports of our default with other numbers of outliers.
    today: our default by benchmark, which may have been another then.
    """
    titles = [TITLES[report["benchmark"]] for report in reports]
    short = "\n".join(table(["ours less", *titles], short_cells(reports)))
    parts = [INTRODUCTION, "## In short", SHORT, short]
    parts += [part for report in reports for part in _benchmark(report, today[report["benchmark"]])]
    if by_rows:
        parts += [
            "## How many outliers it takes",
            ROWS,
            f"![AUROC by the number of outliers of each synthesis method]({PICTURE})",
        ]
    parts += [part for report in by_rows for part in _rows(report, today[report["benchmark"]])]
    return "\n\n".join(parts) + "\n"


def sized(report: Json) -> list[str]:
    """Return the names of our default with other numbers of outliers, the smallest first."""
    methods = report["methods"]
    return sorted(
        (name for name, method in methods.items() if method["role"] == "size"), key=lambda name: methods[name]["rows"]
    )


def _rows(report: Json, today: Default) -> list[str]:
    lines = [Line(name, report["headline"]) for name in ("cross_entropy", *sized(report), "ours")]
    rows = table(heading(report), [cells(report, line) for line in lines])
    return [f"### {TITLES[report['benchmark']]}", _facts(report, today), "\n".join(rows)]


def _benchmark(report: Json, today: Default) -> list[str]:
    methods = report["methods"]
    roles = ("cross-entropy", "published", "reference")
    others = [name for name in METHODS if name in methods and methods[name]["role"] in roles]
    parts = [
        f"## {TITLES[report['benchmark']]}",
        _facts(report, today),
        *([REFERENCES[report["benchmark"]]] if report["benchmark"] in REFERENCES else []),
        "\n".join(table(heading(report), [cells(report, line) for line in compared(report)])),
        BEST,
        "\n".join(table(best_heading(report), [best_cells(report, name) for name in others])),
    ]
    if len(controls(report)) > 1:
        parts += [CONTROLS, "\n".join(table(heading(report), [cells(report, line) for line in controls(report)]))]
    return [*parts, _probes(report)]


def _facts(report: Json, today: Default) -> str:
    splits = [joined_words(names) if names else "no class" for names in report["held_out"]]
    groups = "; ".join(f"{group}: {joined_words(report['groups'][group])}" for group in groups_of(report))
    epochs = report["epochs"]
    alike = "" if epochs["ours"] == epochs["cross-entropy"] else f", ours {epochs['ours']}"
    took = "" if report["seconds"] is None else f", {report['seconds'] / 60:.0f} minutes"
    ours = Default.of_report(report)
    then = "" if ours == today else f" That was the default of then; today's is {today.words()}."
    return (
        f"Commit {report['commit'][:7]}, {report['hardware']}{took}. "
        f"{len(report['seeds'])} seeds, {epochs['cross-entropy']} epochs{alike}, {report['replicates']:,} replicates. "
        f"Held out, split by split: {'; '.join(splits)}. {groups}. "
        f"Ours: {ours.words()}.{then}"
    )


def _probes(report: Json) -> str:
    told = [
        f"{name}: {', '.join(f'{probe} {percent(value)}' for probe, value in probes.items())}"
        for name, probes in report["probes"].items()
    ]
    return (
        "Artefact probe: AUROC of ours on ID test images that were only decoded and encoded again, or saved as JPEG, "
        f"against themselves; 50 is good. {'; '.join(told)}."
    )
