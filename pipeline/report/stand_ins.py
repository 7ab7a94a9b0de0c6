"""Describe the stand-ins for OOD images: which kinds the detector was trained on, and a caution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.outliers.stand_ins.names import REPORT, STAND_IN, STAND_IN_FORMAT, stands_in
from pipeline.params.sets import ImageSets
from pipeline.posthoc.table import ScoreTable
from pipeline.report.sentences import joined_words
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.report_file import read_report
from pipeline.store.reader import Store

ADVICE = "Add images of other things, as a source of kind folder_images, to learn more."


def groups_of(table: ScoreTable, sets: ImageSets) -> dict[str, list[str]]:
    """Return the OOD sets of a run by group; a run without OOD sets has one group, its stand-ins."""
    ood = sets.ood_sets()
    if not ood:
        return {STAND_IN: [name for name in table.labels if stands_in(name)]}
    return {group: [name for name in ood if ood[name] == group] for group in ("near", "far")}


def stand_ins_of(groups: dict[str, list[str]], scores: Path, trained_on: Sequence[Path]) -> dict[str, Any] | None:
    """Return the description of the stand-ins (see `describe_stand_ins`), or None where there are OOD sets."""
    return describe_stand_ins(scores, groups[STAND_IN], trained_on) if STAND_IN in groups else None


def describe_stand_ins(scores: Path, sets: Sequence[str], trained_on: Sequence[Path]) -> dict[str, Any]:
    """Return the section of `metrics.json` about stand-ins, which has three entries.

    trained_on: for each of the `sets`, whether the detector was trained on outliers of the same method. left_out: the
    reason for each kind that is not among the sets. caution: how far the figures can be trusted.

    scores: the folder of the table, which holds the stores of the sets. The parameter `trained_on` lists the stores
    that the detector was trained on. Raises PipelineError when the report of `infer` about stand-ins is missing or
    damaged, and StoreError when a store is.
    """
    report = read_report(scores / REPORT, STAND_IN_FORMAT, "infer")
    if "left_out" not in report:
        raise PipelineError(f"{scores / REPORT}: it lacks left_out; run `dvc repro --force infer`.")
    trained_methods = {method for folder in trained_on for method in _method_names(folder)}
    was_trained_on = {name: bool(trained_methods & _method_names(scores / name)) for name in sets}
    return {"trained_on": was_trained_on, "left_out": report["left_out"], "caution": caution(was_trained_on)}


def caution(trained_on: dict[str, bool]) -> str:
    """Return sentences that say why figures on stand-ins are no promise for real OOD images."""
    if not trained_on:
        return f"There are no OOD images, and nothing could stand in for them: detection was not measured. {ADVICE}"
    seen_kinds = [name for name in trained_on if trained_on[name]]
    new_kinds = [name for name in trained_on if not trained_on[name]]
    phrases = [f"on outliers like {joined_words(seen_kinds)}"] if seen_kinds else []
    phrases += [f"on none like {joined_words(new_kinds)}"] if new_kinds else []
    return (
        f"There are no OOD images; outliers synthesized from ID test images stand in for them. The detector was "
        f"trained {', and '.join(phrases)}. Such figures are optimistic and no promise for real OOD images. {ADVICE}"
    )


def _method_names(folder: Path) -> set[str]:
    """Return the names of the methods (and variants) that made the rows of a store."""
    return set(Store(folder).header.provenance.get("method_names", ()))
