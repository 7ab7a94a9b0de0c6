"""The stage measures every store beside ID validation, draws what it found, and writes its report last."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.latents.view_rows import write_card
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, PipelineError
from pipeline.runtime.files import folder_digest, read_json
from stages.quality import quality
from stages.teacher import teacher
from tests.helpers.make import latents_store, outliers_store, tiny_params, write_params

LATENTS, OUTLIERS, TEACHERS = Path("latents"), Path("outliers"), Path("teachers")
REPORT, FIGURES = Path("quality.json"), Path("quality")


@pytest.fixture(autouse=True)
def inputs():
    latents_store(LATENTS / "id_train")
    latents_store(LATENTS / "id_validation", per_class=10, seed=0)
    for seed, method in enumerate(("mixup", "shuffle")):
        outliers_store(OUTLIERS / method, seed=seed)


def judge(**changes):
    params = write_params(Path(), tiny_params(synthesize__methods=["mixup", "shuffle"], **changes))
    if not TEACHERS.is_dir():
        write_card(Path("views"), 0)
        teacher(
            Path("encoder"),
            LATENTS / "id_train",
            Path("views"),
            LATENTS / "id_train",
            TEACHERS,
            Path("curves"),
            params,
            1,
        )
    quality(LATENTS, OUTLIERS, TEACHERS, REPORT, FIGURES, params)
    return read_json(REPORT)


def width(path):
    with Image.open(path) as picture:
        return picture.width


def test_the_stage_measures_draws_and_repeats():
    report = judge()
    assert report["format"] == "latent-outliers-quality/1"
    assert [*report["methods"]] == ["mixup", "shuffle"]
    assert report["id_validation"].keys() == report["methods"]["mixup"].keys()
    assert report["methods"]["mixup"]["rows"] == 40
    assert {path.name for path in FIGURES.iterdir()} == {"methods.png", "posteriors.png", "manifest.json"}
    assert all(width(path) > 300 for path in FIGURES.glob("*.png"))
    first = folder_digest(FIGURES)
    assert judge() == report
    assert folder_digest(FIGURES) == first


def test_a_class_too_small_for_its_neighbours_is_named():
    with pytest.raises(
        PipelineError,
        match="quality.neighbours is 30, which wants 31 images of every class, but class 'class 0' has 30, ",
    ):
        judge(quality__neighbours=30)
    assert not REPORT.exists()


def test_outliers_of_other_latents_are_refused():
    outliers_store(OUTLIERS / "mixup", classes=4)
    with pytest.raises(IncompatibleStoreError, match="outliers/mixup.*its class list"):
        judge()


def test_a_missing_teacher_is_named():
    judge()
    with pytest.raises(ModelError, match="teachers/5: no trained network could be read"):
        judge(seeds=[5])
