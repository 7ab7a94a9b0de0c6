"""The stage fails on an image in two sets before anything is trained, and reports what is only suspicious."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.latents.guard_report import read_guard
from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError, LeakError, UnfinishedStoreError
from pipeline.runtime.files import read_json
from stages.guard import guard
from tests.helpers.make import latents_store, tiny_params, write_params, write_store
from tests.stages.test_stages import run

LATENTS, REPORT, PASSED = Path("latents"), Path("guard.json"), Path("guarded.json")
SETS = ("id_train", "id_validation", "id_test", "held_out", "photographs", "noise")


@pytest.fixture(autouse=True)
def stores():
    for seed, name in enumerate(SETS):
        latents_store(LATENTS / name, per_class=10, seed=seed)


def put(name, content):
    """Make a store anew whose first images are these, and the others no other set's."""
    others = np.arange(30 - len(content)) - 100 * (1 + SETS.index(name))
    latents_store(LATENTS / name, per_class=10, seed=9, content=[*content, *others])


def guarded(**changes):
    guard(LATENTS, REPORT, PASSED, write_params(Path(), tiny_params(**changes)))
    return read_guard(REPORT)


def test_sets_apart_pass():
    report = guarded()
    assert report["sets"] == {name: {"images": 30, "duplicates_within": 0} for name in SETS}
    assert report["shared"] == []
    assert set(report["near_duplicates"]["sets"]) == set(SETS) - {"id_train"}
    assert read_json(PASSED) == {"passed": True}


def test_the_memory_budget_changes_nothing(monkeypatch):
    wanted = guarded()
    monkeypatch.setenv("LATENT_OUTLIERS_MEMORY", "0")
    assert guarded() == wanted


@pytest.mark.parametrize("name", SETS[1:])
def test_an_image_of_the_training_set_in_any_other_is_a_leak(name):
    put(name, [17, 17, 4])
    message = rf"2 images of id_train also in {name} \(rows 4 and 2, 17 and 0\); wanted at most 0\. Take them out"
    with pytest.raises(LeakError, match=message):
        guarded()


def test_every_leak_is_named():
    put("id_test", [2_000_000, 1_000_003])
    put("noise", [2_000_000])
    with pytest.raises(
        LeakError, match=r"1 image of id_validation also in id_test .*; 1 image of id_test also in noise"
    ):
        guarded()


def test_a_leak_leaves_no_report_not_even_an_old_one():
    guarded()
    put("id_test", [3])
    with pytest.raises(LeakError):
        guarded()
    assert not REPORT.exists()
    assert not PASSED.exists()


def test_a_known_overlap_can_be_allowed_and_is_counted():
    put("id_test", [3, 5])
    with pytest.raises(LeakError, match="wanted at most 1"):
        guarded(guard__most_shared=1)
    (pair,) = guarded(guard__most_shared=2)["shared"]
    assert pair == {"a": "id_train", "b": "id_test", "images": 2, "examples": [[3, 0], [5, 1]]}


def test_ood_sets_may_share_images_and_repeat_their_own():
    put("noise", [4_000_000, 4_000_000, 4_000_001])
    report = guarded()
    assert [(pair["a"], pair["b"], pair["images"]) for pair in report["shared"]] == [("photographs", "noise", 2)]
    assert report["sets"]["noise"]["duplicates_within"] == 1


def test_the_file_that_training_waits_for_is_the_same_whenever_the_check_passes():
    guarded()
    before = PASSED.read_bytes()
    put("noise", [4_000_000])
    guarded(guard__near_duplicate=0.5)
    assert PASSED.read_bytes() == before


def test_near_duplicates_are_reported_and_pass():
    latents_store(
        LATENTS / "id_test", per_class=10, seed=0, content=range(100, 130)
    )  # other pictures, the same latents
    found = guarded()["near_duplicates"]
    assert found["sets"]["id_test"]["images"] == 30
    assert found["sets"]["id_test"]["examples"] == [[row, row, 0.0] for row in range(5)]
    assert found["sets"]["noise"] == {"images": 0, "examples": []}
    assert found["limit"] > 0


def test_the_limit_is_in_typical_distances_of_the_training_set():
    assert guarded(guard__near_duplicate=0.4)["near_duplicates"]["limit"] == pytest.approx(
        2 * guarded(guard__near_duplicate=0.2)["near_duplicates"]["limit"]
    )


def test_latents_without_contents_are_refused():
    values, labels = np.zeros((4, 4, 4, 4), np.float16), np.zeros(4, np.int32)
    shutil.rmtree(LATENTS / "noise")
    write_store(LATENTS / "noise", values, {"label": labels}, "latents", ())
    with pytest.raises(IncompatibleStoreError, match=r"latents/noise: its list of columns is \['label'\], wanted"):
        guarded()


def test_a_missing_store_leaves_no_report():
    guarded()
    (LATENTS / "noise/manifest.json").unlink()
    with pytest.raises(UnfinishedStoreError, match="latents/noise/manifest.json: not found"):
        guarded()
    assert not REPORT.exists()


@pytest.mark.parametrize("array", ["content/c/0", "latent/c/0/0/0/0"])
def test_a_damaged_store_leaves_no_report(array):
    chunk = LATENTS / "held_out" / array
    chunk.write_bytes(b"!" + chunk.read_bytes()[1:])
    with pytest.raises(DamagedStoreError, match=f"held_out/{array}"):
        guarded()
    assert not REPORT.exists()


def test_a_leak_is_one_line_and_exit_code_1(tmp_path):
    write_params(tmp_path, tiny_params())
    put("id_validation", [8])
    code, _, err = run("stages.guard", LATENTS, REPORT, PASSED)
    assert code == 1
    assert err.startswith("error: latents: found 1 image of id_train also in id_validation (rows 8 and 0); wanted")
    assert err.count("\n") == 1
    assert not REPORT.exists()
