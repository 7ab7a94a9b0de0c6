"""A test image in the training file is caught, gray or in colour, before a teacher is trained on it."""

from pathlib import Path

import pytest
import torch

from pipeline.latents.guard_report import read_guard
from pipeline.runtime.errors import LeakError
from stages.encode import encode
from stages.guard import guard
from tests.helpers.make import PARQUET_SETS, changed, parquet_data, tiny_params, write_params
from tests.helpers.models import write_encoder
from tests.helpers.project import call, make_project, stages_run
from tests.images.sources.test_parquet import encoded, write

PATHS = (Path("latents"), Path("guard.json"), Path("guarded.json"))


def write_files(folder, *, leaked, mode="L"):
    """Write a training and a test file and one of OOD images; with `leaked`, row 0 of the test file is in training."""
    write(folder / "train.parquet", [0, 1, 2, 3] * 30)
    first = encoded(3 if leaked else 999, mode=mode)
    write(folder / "test.parquet", [3, 2, 1, 0] * 10, images=[first, *map(encoded, range(1001, 1040))])
    write(folder / "plants.parquet", [-1] * 20, first=2000)


def guarded(**changes):
    """Encode all sets with a random encoder and compare them."""
    torch.manual_seed(0)
    write_encoder(Path("encoder"))
    params = write_params(Path(), tiny_params(data=parquet_data("."), **changes))
    for name in PARQUET_SETS:
        encode(name, Path("encoder"), PATHS[0] / name, params)
    guard(*PATHS, params)
    return read_guard(PATHS[1])


def test_files_without_a_common_image_pass(tmp_path):
    write_files(tmp_path, leaked=False)
    assert guarded()["shared"] == []


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_test_image_in_the_training_file_is_caught(tmp_path, mode):
    write_files(tmp_path, leaked=True, mode=mode)
    with pytest.raises(LeakError, match=r"latents: found 1 image of id_(train|validation) also in id_test \(rows "):
        guarded()
    assert not PATHS[1].exists()


@pytest.mark.slow
def test_repro_stops_at_a_leak_before_anything_is_trained_on_it(tmp_path):
    folder = tmp_path / "project"
    make_project(folder, data=parquet_data("."), seeds=[0], synthesize__methods=["shuffle"])
    write_files(folder, leaked=True)
    told = call(folder, "dvc", "repro", code=255)
    assert stages_run(told) == ["encoder", *(f"encode@{name}" for name in PARQUET_SETS), "guard"]
    assert "error: data/latents: found 1 image of id_" in told
    for made in ("reports/guard.json", "data/guarded.json", "models/teacher", "data/outliers/shuffle"):
        assert not (folder / made).exists()
    assert stages_run(call(folder, "dvc", "repro", "synthesize@shuffle", code=255)) == ["guard"]
    write_params(folder, tiny_params(data=parquet_data("."), seeds=[0], guard__most_shared=1))
    assert stages_run(call(folder, "dvc", "repro", "teacher")) == ["guard", "views", "teacher"]
    noise = {"kind": "noise", "images": 20, "pixels": 8, "seed": 0}
    more = changed(
        parquet_data("."), sources__noise=noise, sets__noise={"group": "far", "source": "noise", "part": "all"}
    )
    write_params(folder, tiny_params(data=more, seeds=[0], guard__most_shared=1))
    ran = stages_run(call(folder, "dvc", "repro", "teacher"))
    assert ran == ["encode@noise", "guard"]  # no teacher is trained again
