"""Folders hold the bytes of the Parquet files, each image in one of them, and are written once."""

import re

import pyarrow.parquet as pq
import pytest

from benchmarks.photographs.folders import (
    CIFAR10_TEST,
    CIFAR100,
    DEVELOPMENT,
    FINAL,
    KINDS,
    OBJECTS,
    OTHER_SIBLINGS,
    SPECIFICATION,
    TEXTURES,
    THEIR_SIBLINGS,
    Draw,
    write_images,
)
from pipeline.runtime.errors import PipelineError
from tests.benchmarks.photographs.make import DATASETS, IMAGES, photographs


def written(one):
    write_images(one, DATASETS)
    return {kind: sorted(path for path in (one.images / kind).rglob("*") if path.is_file()) for kind in KINDS}


def test_known_classes_have_folders_and_others_have_none():
    one = photographs()
    files = written(one)
    assert {path.parent.name for path in files["id"]} == {"bolt", "nut"}
    assert {kind: len(of) for kind, of in files.items()} == {"id": 2 * IMAGES, "near": 12, "far": 16, "foreign": 10}
    assert {path.parent for kind in KINDS[1:] for path in files[kind]} == {one.images / kind for kind in KINDS[1:]}


def test_images_are_the_bytes_of_the_rows_they_are_named_by():
    rows = pq.read_table(DATASETS / photographs().id.file)["image"].to_pylist()
    for path in written(photographs())["id"]:
        assert path.read_bytes() == rows[int(path.stem)]["bytes"]
        assert path.suffix == ".png"


def test_no_image_is_in_two_folders():
    files = written(photographs())
    every = [path.read_bytes() for of in files.values() for path in of]
    assert len(set(every)) == len(every)


def test_a_folder_is_written_once_and_anew_when_it_is_drawn_in_another_way():
    one = photographs()
    write_images(one, DATASETS)
    (one.images / "far" / "mark").touch()
    write_images(one, DATASETS)
    assert (one.images / "far" / "mark").exists()
    write_images(photographs(far=Draw("others.parquet", images=15)), DATASETS)
    assert not (one.images / "far" / "mark").exists()
    assert len(list((one.images / "far").iterdir())) == 15


@pytest.mark.parametrize(
    ("draw", "found"),
    [
        (Draw("things.parquet", ("nail",)), "found no class 'nail', wanted it; it has ['bolt', 'nut', 'screw']"),
        (Draw("things.parquet", ("screw",), images=20, skipped=5), "found 24 images of screw, wanted 25 or more"),
        (Draw("nothing.parquet"), "not found, wanted a Parquet file of labelled images"),
    ],
)
def test_what_a_file_lacks_is_named_and_nothing_is_written(draw, found):
    one = photographs(near=draw)
    with pytest.raises(PipelineError, match=re.escape(found)):
        write_images(one, DATASETS)
    assert not (one.images / SPECIFICATION).exists()


def rows_taken(draw):
    """For each class (None: all) of a file, the first and last row of the random order that a draw takes."""
    end = draw.skipped + (draw.images or 10**9)
    return {(draw.file, name): (draw.skipped, end) for name in draw.classes or (None,)}


@pytest.mark.parametrize("other", FINAL)
@pytest.mark.parametrize("one", DEVELOPMENT)
def test_development_sees_no_near_far_or_foreign_image_of_a_final_folder(one, other):
    seen = [draw for kind in KINDS for draw in rows_taken(getattr(one, kind)).items()]
    for kind in ("near", "far", "foreign"):
        for key, (first, end) in rows_taken(getattr(other, kind)).items():
            for seen_key, (seen_first, seen_end) in seen:
                assert seen_key != key or seen_end <= first or seen_first >= end, (kind, key)


@pytest.mark.parametrize("one", [*FINAL, *DEVELOPMENT])
def test_held_out_classes_are_not_known(one):
    assert not set(one.id.classes) & set(one.near.classes)
    names = {CIFAR10_TEST: OBJECTS, CIFAR100: (*THEIR_SIBLINGS, *OTHER_SIBLINGS)}
    assert set(one.near.classes) <= set(names.get(one.near.file, TEXTURES))
