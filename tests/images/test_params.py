"""Sources of files that would mislead or could not work are refused before a file is opened."""

import re
from pathlib import Path

import pytest

from pipeline.params.data import STAGES_WRITE, DataParams
from pipeline.runtime.errors import ParamsError
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT, changed, default_params, parquet_data, section
from tests.images.hugging import HUB, dataset_data
from tests.images.odd import FOLDER, folder_data

DATA = parquet_data(Path("somewhere"))
NAMES = DATA["sources"]["animals"]["class_names"]
HERE = dataset_data(Path("somewhere"))
HUB_DATA = changed(HERE, sources__animals=HERE["sources"]["animals"] | HUB)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"sources__animals__held_out": ["bea"]}, "sources.animals: held_out has 'bea'; did you mean 'bee'?"),
        ({"sources__animals__held_out": ["bee", "bee"]}, "sources.animals: held_out has 'bee' twice"),
        ({"sources__animals__class_names": ["ant", "bee", "ant"]}, "sources.animals: class_names has 'ant' twice"),
        ({"sources__animals__held_out": NAMES[:3]}, "held_out leaves 1 of the class_names, and a classifier needs two"),
        ({"sources__animals__held_out": []}, "sets.held_out.part is 'held_out', but sources.animals.held_out names no"),
        ({"sources__animals__limits__test": 2}, "limits.test 2 is below one image of each of its 3 classes"),
        ({"sources__animals__limits__tset": 2}, "sources.animals.limits.tset is not a parameter; did you mean 'test'"),
        ({"sources__plants__images": 0}, "sources.plants.images is 0: input should be greater than"),
        ({"sources__animals__class_names": [0, 1]}, "sources.animals.class_names.0 is 0: input should be a valid"),
        (
            {"sources__plants__file": "./a", "sources__animals__train": "a"},
            "plants.file is the same images as sources.a",
        ),
        ({"sources__animals__test": "b", "sources__animals__train": "c/../b"}, "animals.test is the same images as"),
        ({"sets__id_test__part": "held_out"}, "sets.id_test: wanted source 'animals' and part 'test': one split for"),
        ({"sets__plants__part": "train"}, "sets.plants.part is 'train'; valid here: all"),
    ],
)
def test_impossible_parameters_are_named(wrong, wanted):
    with pytest.raises(ParamsError) as caught:
        section(DataParams, changed(DATA, **wrong))
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"animals__revision": "main"}, "sources.animals.revision is 'main': wanted a commit of 40 hexadecimal digits"),
        ({"animals__config": None}, "sources.animals: config is null, wanted its name on the hub ('default' if the"),
        (
            {"animals__dataset": "parquet"},
            "dataset is 'parquet', wanted owner/name: a `revision` is for the hub",
        ),
        ({"animals__class_names": ["ant", "bee", "ant"]}, "sources.animals: class_names has 'ant' twice"),
        ({"animals__limits__test": 2}, "limits.test 2 is below one image of each of its 3 classes"),
        ({"animals__held_out": []}, "sets.held_out.part is 'held_out', but sources.animals.held_out names no class"),
        ({"animals__daatset": "a/b"}, "sources.animals.daatset is not a parameter; did you mean 'dataset'?"),
        ({"animals": {"kind": "dataset"}}, "sources.animals.dataset is missing; sources.animals.config is missing"),
        ({"animals__test": "train"}, "animals.test is the same images as sources.animals.train: @team/animals, defaul"),
        (
            {"plants": HUB_DATA["sources"]["plants"] | HUB},
            "sources.plants.split is the same images as sources.animals.test: @team/animals, def",
        ),
    ],
)
def test_impossible_datasets_are_named(wrong, wanted):
    with pytest.raises(ParamsError) as caught:
        section(DataParams, changed(HUB_DATA, **{f"sources__{name}": value for name, value in wrong.items()}))
    assert wanted in str(caught.value)


def test_a_source_that_no_set_uses_may_name_the_same_file():
    spare = changed(DATA["sources"]["animals"], held_out=["dog"])
    section(DataParams, changed(DATA, sources__spare=spare))


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        (
            {"photos__validation": None},
            "validation is null, which is for folders with splits of their own; then test is",
        ),
        ({"photos__test": 0.8, "photos__validation": 0.2}, "validation 0.2 and test 0.8 leave less than a tenth"),
        ({"photos__held_out": ["owl", "owl"]}, "held_out has 'owl' twice"),
        ({"photos__held_out": []}, "sets.held_out.part is 'held_out', but sources.photos.held_out names no class"),
        (
            {"photos__on_bad_image": "ignore"},
            "sources.photos.on_bad_image is 'ignore': input should be 'fail' or 'skip'",
        ),
        (
            {"photos__largest_pixels": 2**31},
            "largest_pixels is 2147483648: input should be less than or equal to 2147483647",
        ),
        ({"others__path": "./photos"}, "sources.photos.path is the same images as sources.others.path"),
        ({"others__path": "photos/cat"}, "sources.others.path photos/cat is inside sources.photos.path photos; keep"),
        ({"others__path": "data/scores/"}, "sources.others.path is data/scores, and stages write and delete in data/s"),
        ({"photos__path": "./data/outliers/a"}, "sources.photos.path is data/outliers/a, and stages write and delete"),
        ({"photos__path": "others/a"}, "sources.photos.path others/a is inside sources.others.path others; keep them"),
    ],
)
def test_impossible_folders_are_named(wrong, wanted):
    with pytest.raises(ParamsError) as caught:
        section(DataParams, folder_data(**{f"sources__{name}": value for name, value in wrong.items()}))
    assert wanted in str(caught.value)


def test_a_split_of_its_own_is_other_images_of_the_same_dataset():
    section(DataParams, changed(HUB_DATA, sources__plants=HUB_DATA["sources"]["plants"] | HUB | {"split": "extra"}))


def test_a_dataset_and_the_files_in_its_folder_are_the_same_images():
    for file, wanted in (("", "is the same images as"), ("/test.parquet", "is inside")):
        plants = changed(DATA["sources"]["plants"], file=f"somewhere/animals{file}")
        with pytest.raises(ParamsError, match=f"plants.file.* {wanted} sources.animals.t"):
            section(DataParams, changed(HERE, sources__plants=plants))


def test_a_labelled_folder_is_no_ood_set():
    data = folder_data(
        sources__more=changed(FOLDER, path="more"), sets__others__source="more", sets__others__part="test"
    )
    with pytest.raises(ParamsError, match="sets.others.source is 'more', of kind 'folder'; wanted that of the ID sets"):
        section(DataParams, data)


def test_folders_beside_each_other_are_apart():
    section(DataParams, folder_data(sources__others__path="photos2"))


def test_every_folder_below_data_that_stages_write_to_is_known():
    outputs = re.findall(r"^ +- (data/\w+)(?:/\$.*)?$", (ROOT / "dvc.yaml").read_text(), re.MULTILINE)
    assert set(outputs) == set(STAGES_WRITE)


def test_the_page_on_images_shows_sources_that_are_valid():
    texts = re.findall(r"```yaml\n(sources:\n.+?)```", (ROOT / "docs/images.md").read_text(), re.DOTALL)
    blocks = [plain_yaml(text) for text in texts]
    assert len(blocks) == 3
    for block in blocks:
        names = dict(zip(blocks[0]["sources"], block["sources"], strict=True))
        as_above = {name: one | {"source": names[one["source"]]} for name, one in blocks[0]["sets"].items()}
        section(DataParams, {**default_params()["data"], "sets": as_above, **block})
