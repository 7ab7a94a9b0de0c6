"""Every file of a folder is in a set, beyond a limit, in no set or skipped, and the counts add up."""

from pathlib import Path

import pytest

from pipeline.latents.file_account import account_for_files
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError
from pipeline.store.reader import Store
from tests.helpers.make import latents_store, section
from tests.images.odd import SETS, folder_data, odd_folder, plain_folder

LATENTS = Path("latents")
SOURCES = {name: chosen["source"] for name, chosen in SETS.items()}
PARTS = {"train": 7, "validation": 2, "test": 3, "held_out": 5}
FOUND = {"digest": "a", "found": 20, "parts": PARTS, "repeated": 1, "skipped": {"damaged": 2, "empty": 1}}


class Header:
    """As much of a store's header as is looked at."""

    def __init__(self, rows, part, files=FOUND):
        self.rows, self.provenance = rows, {"part": part} | ({} if files is None else {"files": files})


def photos(**headers):
    return account_for_files(LATENTS, headers, SOURCES)["photos"]


def total(entry):
    return sum(entry["sets"].values()) + entry["beyond_limits"] + entry["in_no_set"] + sum(entry["skipped"].values())


def test_all_files_of_all_sets_add_up():
    found = photos(id_train=Header(7, "train"), id_validation=Header(2, "validation"), id_test=Header(3, "test"))
    assert found["sets"] == {"id_train": 7, "id_validation": 2, "id_test": 3}
    assert (found["beyond_limits"], found["in_no_set"], found["repeated"]) == (0, 5, 1)
    assert total(found) == found["found"] == 20


def test_what_a_limit_leaves_out_is_counted():
    found = photos(id_train=Header(4, "train"), held_out=Header(5, "held_out"))
    assert (found["beyond_limits"], found["in_no_set"]) == (3, 5)
    assert total(found) == 20


def test_sources_that_are_no_folders_are_left_out():
    assert account_for_files(LATENTS, {"id_train": Header(7, "train", None)}, SOURCES) == {}


def test_sets_of_two_states_of_a_folder_are_refused():
    changed = Header(3, "test", FOUND | {"digest": "b"})
    with pytest.raises(
        ImageFileError, match="latents: found two states of a folder, wanted the files of id_train and id"
    ):
        photos(id_train=Header(7, "train"), id_test=changed)


@pytest.mark.parametrize("limit", [None, 5])
def test_the_account_of_an_odd_folder_adds_up(limit):
    outcomes = odd_folder(Path("photos"))
    plain_folder(Path("others"))
    data = section(DataParams, folder_data(sources__photos__limits__train=limit))
    headers = {}
    for name, chosen in SETS.items():
        images = data.open(name)
        headers[name] = Header(len(images), chosen["part"], images.files)
    found = account_for_files(LATENTS, headers, SOURCES)
    assert total(found["photos"]) == found["photos"]["found"] == len(outcomes)
    assert total(found["others"]) == found["others"]["found"] == 30
    assert (found["photos"]["beyond_limits"] > 0) == (limit is not None)


def test_stores_without_folders_have_no_account():
    latents_store(LATENTS / "id_train")
    assert account_for_files(LATENTS, {"id_train": Store(LATENTS / "id_train").header}, SOURCES) == {}
