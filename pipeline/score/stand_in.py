"""Say of outliers that stand in for OOD images what they are worth: which kinds were trained on, and a caution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.infer.table import ScoreTable
from pipeline.page.words import listing
from pipeline.reports import read_report
from pipeline.stand_in import REPORT, STAND_IN, STAND_IN_FORMAT, stands_in
from pipeline.store.reader import Store

MORE = "Add images of other things, as a source of kind folder_images, to learn more."


def stand_in_groups(table: ScoreTable) -> dict[str, list[str]]:
    """Return the stand-ins of a table as the one group they are; none of them is near or far."""
    return {STAND_IN: [name for name in table.labels if stands_in(name)]}


def describe_stand_ins(scores: Path, sets: Sequence[str], trained_on: Sequence[Path]) -> dict[str, Any]:
    """Return what `metrics.json` says of stand-ins beside their figures.

    trained_on: of each of the `sets`, whether the detector was trained on outliers made in the same way, as the stores
    say that it was trained on; left_out: of each kind that is not among the sets, why; caution: what to think of the
    figures.

    scores: the folder of the table, with the stores of the sets. Raises PipelineError when what `infer` says of them is
    not there or damaged, and StoreError when a store is.
    """
    report = read_report(scores / REPORT, STAND_IN_FORMAT, "infer")
    if "left_out" not in report:
        raise PipelineError(f"{scores / REPORT}: it lacks left_out; run `dvc repro --force infer`.")
    known = {way for folder in trained_on for way in _ways(folder)}
    found = {name: bool(known & _ways(scores / name)) for name in sets}
    return {"trained_on": found, "left_out": report["left_out"], "caution": caution(found)}


def caution(trained_on: dict[str, bool]) -> str:
    """Return in plain words why figures on stand-ins are no promise."""
    if not trained_on:
        return f"There are no OOD images, and nothing could stand in for them: detection was not looked at. {MORE}"
    seen, new = ([name for name in trained_on if trained_on[name] == known] for known in (True, False))
    like = [f"on outliers like {listing(seen)}"] if seen else []
    like += [f"on none like {listing(new)}"] if new else []
    return (
        f"There are no OOD images; outliers synthesized from ID test images stand in for them. The detector was "
        f"trained {', and '.join(like)}. Such figures are optimistic and no promise for real OOD images. {MORE}"
    )


def _ways(folder: Path) -> set[str]:
    """Return the names of the ways in which the rows of a store were made."""
    return set(Store(folder).header.provenance.get("method_names", ()))
