"""The table of README, and the page about photographs, in Markdown."""

from collections.abc import Mapping, Sequence

from benchmarks.leaderboard.lines import difference, percent, table
from benchmarks.photographs.contestants import CHOICE, CONTESTANTS, RUNS
from benchmarks.photographs.folders import FINAL, Draw, Photographs
from benchmarks.photographs.judging import GROUPS, Json
from benchmarks.photographs.parts import Parts
from benchmarks.photographs.project import SEEDS
from pipeline.params.infer import score_title
from pipeline.report.metrics_json import mean_and_std
from pipeline.runtime.files import read_json

COMPARISON = "comparison.json"
HEADING = [
    "photographs", "", "minutes", "ID accuracy", "near AUROC", "far AUROC", "flagged of 100 foreign",
    "ours minus it: near", "ours minus it: far",
]  # fmt: skip
FACTS = ["", "ID accuracy, ours minus it", "commit, hardware", "minutes", "CPU minutes", "load at its start"]
NOTE = """Minutes are those from a folder to the first decision on a new image, on two cores. Ours trains five teachers
and five detectors in that time (a new project has three of each), the CNN one network. Values are in percent, mean ±
std over seeds. Logistic regression on EfficientNet-Lite0 is given the best of MSP, k-NN and Mahalanobis++ on the test
sets, figure by figure, which no user could know. Everyone else has one score for everything. Thresholds accept 95 % of
ID validation. Minutes count what else the machine did: the load at the start stands below."""
INTRODUCTION = """# Photographs

What a new user gets with a folder of labelled photographs, beside what people would take instead. Written by
`python -m benchmarks.photographs` from `benchmarks/results/photographs/`. Images, split and post-hoc scores are the
same for all."""
HOW = """## How it is measured

- **ours**: `latent-outliers new-project`, `dvc repro`, then `latent-outliers predict`, as in
  [the tutorial](../tutorial.md), with default parameters but five seeds. Figures are those of `reports/metrics.json`.
- **its teacher**: the network of the same run that is trained with cross-entropy only.
- **plain CNN**: four convolutions with batch normalisation and pooling, on pixels; crops and flips, SGD with a cosine,
  60 epochs. The learning rate is chosen between two on ID validation, by the first seed; its minutes are those of one
  training.
- **logistic regression on EfficientNet-Lite0**: mean over places of the frozen network's last map (ImageNet-1k labels,
  17 MB). C is chosen among six on ID validation.
- **logistic regression on thumbnails and edges**: 16 x 16 pixels, and a histogram of gradients.

The 95 % interval of a difference is a paired bootstrap over images, to which Student's interval over seeds is added; an
image is drawn once, in whatever set it is. A regression has no seeds: it is the same beside each seed of ours."""


def results_of(folders: Sequence[Photographs] = FINAL) -> dict[str, Json]:
    """Return the comparison of each folder of photographs that has one, by name."""
    files = {one.name: Parts.of(one).folder / COMPARISON for one in folders}
    return {name: read_json(file) for name, file in files.items() if file.is_file()}


def main_table(results: Mapping[str, Json], folders: Sequence[Photographs] = FINAL) -> str:
    """Return the table of README and of the page: a line for each contestant of each folder."""
    rows = []
    for one in folders:
        lines = results.get(one.name, {"lines": {}})["lines"]
        rows += [
            [one.title if place == 0 else "", CONTESTANTS[name].title, *_cells(lines[name])]
            for place, name in enumerate(name for name in CONTESTANTS if name in lines)
        ]
    return "\n".join(table(HEADING, rows))


def _cells(line: Json) -> list[str]:
    several = len({line[name]["score"] for name in (*GROUPS, "foreign_flagged") if name in line}) > 1
    found = [f"{line['costs']['seconds'] / 60:.1f}", percent(line["id_accuracy"])]
    for name in (*GROUPS, "foreign_flagged"):
        score = f" ({score_title(line[name]['score'])})" if several and name in line else ""
        found.append(percent(line[name]) + score if name in line else "")
    apart = line.get("ours_minus")
    return [*found, *(difference(apart[group]) if apart else "" for group in GROUPS)]


def page(results: Mapping[str, Json], folders: Sequence[Photographs] = FINAL) -> str:
    """Return the page."""
    shown = [one for one in folders if one.name in results]
    parts = [INTRODUCTION, main_table(results, folders), NOTE, HOW]
    for one in shown:
        parts += _section(one, results[one.name])
    return "\n\n".join(parts) + "\n"


def _section(photographs: Photographs, result: Json) -> list[str]:
    stored = Parts.of(photographs)
    sizes = result["sizes"]
    parts = {name: [stored.read(name, seed) for seed in stored.seeds(name)] for name in RUNS}
    parts = {name: of for name, of in parts.items() if of}
    images = (
        f"{sizes['id_train']:,} images to train on, {sizes['id_validation']} to validate, {sizes['id_test']} to test; "
        f"{sizes['near']} near, {sizes['far']} far and {sizes['foreign']} foreign images. "
        f"ID: {_words(photographs.id)}. Near: {_words(photographs.near)}. Far: {_words(photographs.far)}. "
        f"Foreign: {_words(photographs.foreign)}."
    )
    facts = [_facts(name, of, result["lines"][name]) for name, of in parts.items()]
    found = [f"## {photographs.title}", images, "\n".join(table(FACTS, facts))]
    found += [_stages(name, parts[name][0]["run"]["stages"]) for name in ("supervised", "backbone") if name in parts]
    if stored.file(CHOICE, SEEDS[0]).is_file():
        found.append(_choice(stored.read(CHOICE, SEEDS[0])))
    found.append("By every post-hoc score, AUROC, and the share of foreign and of ID test images that are flagged:")
    scores = ["contestant", "score", "near", "far", "foreign", "ID test"]
    return [*found, "\n".join(table(scores, [row for name, of in parts.items() for row in _by_score(name, of)]))]


def _words(draw: Draw) -> str:
    classes = f", {', '.join(draw.classes)}" if draw.classes else ""
    each = f", {draw.images} {'of each class' if draw.classes else 'images'}" if draw.images else ""
    return f"`{draw.file}`{classes}{each}"


def _facts(name: str, parts: list[Json], line: Json) -> list[str]:
    costs, apart = line["costs"], line.get("ours_minus")
    return [
        CONTESTANTS[name].title,
        difference(apart["id_accuracy"]) if apart else "",
        f"{str(parts[0]['commit'])[:7]}, {parts[0]['hardware']}",
        f"{costs['seconds'] / 60:.1f}",
        f"{costs['cpu_seconds'] / 60:.1f}",
        f"{costs['load']:.1f}",
    ]


def _stages(name: str, stages: Mapping[str, float]) -> str:
    slowest = sorted(stages, key=lambda stage: -stages[stage])
    return f"Seconds of {CONTESTANTS[name].title}: {', '.join(f'{stage} {stages[stage]:.0f}' for stage in slowest)}."


def _choice(part: Json) -> str:
    tried = [f"{rate}: {100 * accuracy:.1f} %" for rate, accuracy in part["id_validation_accuracy"].items()]
    return f"The CNN's learning rates by ID validation accuracy: {'; '.join(tried)}. Chosen: {part['rate']}."


def _by_score(name: str, parts: list[Json]) -> list[list[str]]:
    rows = []
    for score in parts[0]["scores"]:
        of = [part["scores"][score] for part in parts]
        groups = [percent(mean_and_std([one[group]["auroc"] for one in of])) for group in GROUPS]
        flagged = [[one["flagged"].get(which) for one in of] for which in ("foreign", "id_test")]
        shares = ["" if None in values else percent(mean_and_std(values)) for values in flagged]
        rows.append([name, score_title(score), *groups, *shares])
    return rows
