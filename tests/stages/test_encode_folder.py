"""Stages take a folder with every odd file in it: the stores say what was left out, and the guard adds it up."""

from pathlib import Path

import pytest
import torch

from pipeline.latents.guard_report import read_guard
from pipeline.runtime.errors import ImageFileError, LeakError
from pipeline.store.reader import Store
from stages.encode import encode
from stages.guard import guard
from tests.helpers.make import tiny_params, write_params
from tests.images.odd import SETS, USED, encoded, folder_data, odd_folder, picture, plain, plain_folder, write
from tests.stages.test_stages import run
from tests.training.test_autoencoder import random_kl

LATENTS, REPORT, PASSED = Path("latents"), Path("guard.json"), Path("guarded.json")


@pytest.fixture
def outcomes():
    """Write an autoencoder, the parameters and both folders; return what becomes of each file of photos/."""
    torch.manual_seed(0)
    random_kl().save_pretrained("autoencoder")
    write_params(Path(), tiny_params(data=folder_data()))
    plain_folder(Path("others"), classes=("fox", "bat"))
    return odd_folder(Path("photos"))


def encode_sets(*names):
    for name in names:
        encode(name, Path("autoencoder"), LATENTS / name)


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
    code, _, err = run("stages.encode", "id_train", "autoencoder", LATENTS / "id_train")
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
