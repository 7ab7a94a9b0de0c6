"""Stages take a folder with every odd file in it, and a dataset from disk but from no hub that cannot be reached."""

from pathlib import Path

import pytest
import torch

from pipeline.latents.guard_report import read_guard
from pipeline.runtime.errors import ImageFileError, LeakError
from pipeline.store.reader import Store
from stages.encode import encode
from stages.guard import guard
from tests.helpers.make import changed, parquet_data, tiny_params, write_params
from tests.helpers.models import write_encoder
from tests.images.hugging import HUB, as_files, as_saved, dataset_data, write_files
from tests.images.odd import SETS, USED, encoded, folder_data, odd_folder, picture, plain, plain_folder, write
from tests.stages.test_stages import ENVIRONMENT, run

LATENTS, REPORT, PASSED = Path("latents"), Path("guard.json"), Path("guarded.json")


@pytest.fixture
def outcomes():
    """Write an encoder, the parameters and both folders; return what becomes of each file of photos/."""
    torch.manual_seed(0)
    write_encoder(Path("encoder"))
    write_params(Path(), tiny_params(data=folder_data()))
    plain_folder(Path("others"), classes=("fox", "bat"))
    return odd_folder(Path("photos"))


def encode_sets(*names):
    for name in names:
        encode(name, Path("encoder"), LATENTS / name)


def guarded():
    guard(LATENTS, REPORT, PASSED)
    return read_guard(REPORT)


def test_an_odd_folder_passes_the_guard_and_every_file_is_told_once(outcomes):
    encode_sets(*SETS)
    found = guarded()["files"]["photos"]
    assert sum(found["sets"].values()) + sum(found["skipped"].values()) == found["found"] == len(outcomes)
    lists = [Store(LATENTS / name).header.provenance["files"].get("skipped_files") for name in list(SETS)[:4]]
    listed = [path for reasons in lists if reasons for paths in reasons.values() for path in paths]
    assert sorted(listed) == sorted(path for path, outcome in outcomes.items() if outcome != USED)


def test_sets_of_a_folder_that_changed_between_them_are_refused(outcomes):
    encode_sets("id_train", "id_validation", "held_out", "others")
    write(Path("photos/dog/new.png"), encoded(picture(99)))
    encode_sets("id_test")
    with pytest.raises(
        ImageFileError, match="latents: found two states of a folder, wanted the files of id_train and id"
    ):
        guarded()
    assert not PASSED.exists()


def test_a_bad_file_is_one_line_and_exit_code_1(outcomes):
    write_params(Path(), tiny_params(data=folder_data(sources__photos__on_bad_image="fail")))
    code, _, err = run("stages.encode", "id_train", "encoder", LATENTS / "id_train")
    assert code == 1
    bad = len([outcome for outcome in outcomes.values() if outcome not in (USED, "system file")])
    wanted = (
        f"error: photos: found {bad} files that cannot be used (cat/32 bits.tif: unsupported pixels (signed levels "
    )
    assert err.splitlines()[-1].startswith(wanted)
    assert err.count("error:") == 1
    assert not (LATENTS / "id_train").exists()


def test_a_leak_between_folders_is_told_by_the_names_of_the_files(outcomes):
    write(Path("others/bat/stolen.png"), encoded(plain("cat", 3), "PNG"))
    encode_sets(*SETS)
    with pytest.raises(LeakError) as caught:
        guarded()
    assert ", the first is photos/cat/3.png and others/bat/stolen.png; wanted at most 0." in str(caught.value)
    write(Path("others/new.png"), encoded(picture(98)))
    with pytest.raises(LeakError, match="the first is photos/cat/3.png; wanted at most 0"):
        guarded()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write an encoder and Parquet files, with a home of the hub's client of its own."""
    monkeypatch.setitem(ENVIRONMENT, "HF_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    write_encoder(Path("encoder"))
    write_files(tmp_path)


def encoded_test_set(data, output):
    write_params(Path(), tiny_params(data=data))
    return run("stages.encode", "id_test", "encoder", output)


@pytest.mark.parametrize("layout", [as_files, as_saved])
def test_the_latents_of_a_dataset_are_those_of_its_parquet_files(files, tmp_path, layout):
    layout(tmp_path)
    for data, output in ((dataset_data(tmp_path), "dataset"), (parquet_data(tmp_path), "parquet")):
        code, _, err = encoded_test_set(data, output)
        assert (code, err.count("\n")) == (0, 1), err  # the bar of the stage itself
    found, wanted = Store(Path("dataset")), Store(Path("parquet"))
    assert found.latents().tobytes() == wanted.latents().tobytes()
    assert found.column("content").tolist() == wanted.column("content").tolist()


def test_without_a_network_a_dataset_of_the_hub_is_one_line_and_exit_code_1(files, tmp_path):
    data = dataset_data(tmp_path)
    code, _, err = encoded_test_set(changed(data, sources__animals=data["sources"]["animals"] | HUB), "out")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: team/animals: found nothing to open (ConnectionError: Couldn't reach 'team/animals'")
    assert not Path("out").exists()
