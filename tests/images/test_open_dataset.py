"""What is opened is what was addressed, on the hub and in a folder, or one line says why not; no network is needed."""

import json
import shutil

import datasets
import huggingface_hub
import pytest

from pipeline.images.hub_dataset import DatasetAddress, open_dataset
from pipeline.runtime.errors import ImageFileError
from tests.helpers.make import parquet_data, section
from tests.images.hugging import COMMIT, HUB, as_files, as_saved, dataset_data, write_files
from tests.images.sources.test_dataset import open_set, told

OTHER = COMMIT[::-1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Write the Parquet files, and keep the library's cache in the test's own folder and itself off the network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def hub(folder, monkeypatch):
    """Stand in for the hub, which has the folder `animals`; return the list of what was asked for."""
    as_files(folder)
    load, asked = datasets.load_dataset_builder, []

    def builder(name, config, *, revision):
        asked.append((name, config, revision))
        found = load(str(folder / "animals"))
        found.hash = revision
        return found

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    return asked


def message(**changes):
    with pytest.raises(ImageFileError) as caught:
        open_dataset(section(DatasetAddress, HUB | changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cached(folder, commit):
    """Put the folder `animals` into the library's cache as if it had been fetched from team/animals."""
    builder = datasets.load_dataset_builder(str(folder / "animals"))
    builder.download_and_prepare()
    shutil.copytree(builder.cache_dir, folder / f"cache/team___animals/default/0.0.0/{commit}")


def test_the_hub_is_asked_for_name_config_and_commit_and_its_images_are_like_any_other(hub, folder):
    address = {f"sources__animals__{name}": value for name, value in HUB.items()}
    found, wanted = (open_set(data, "id_test") for data in (dataset_data(folder, **address), parquet_data(folder)))
    assert told(found) == told(wanted)
    assert hub == [("hf://datasets/team/animals", "default", COMMIT)]


def test_without_a_network_the_commit_of_the_address_comes_out_of_the_cache(folder):
    as_files(folder)
    cached(folder, COMMIT)
    assert len(open_dataset(section(DatasetAddress, HUB))["test"]) == 80


def test_another_commit_in_the_cache_is_never_taken_for_it(folder):
    as_files(folder)
    cached(folder, OTHER)
    assert message().startswith(f"team/animals: found no commit but {OTHER}, wanted commit {COMMIT}. Check `dataset`")


def test_a_folder_here_is_never_taken_for_the_dataset_of_that_name(folder):
    as_files(folder)
    shutil.copytree(folder / "animals", folder / "team/animals")
    assert "found nothing to open (ConnectionError: Couldn't reach 'team/animals' on the Hub" in message()


def test_without_a_network_and_a_cache_the_line_says_what_to_do():
    assert message() == (
        "team/animals: found nothing to open (ConnectionError: Couldn't reach 'team/animals' on the Hub "
        "(OfflineModeIsEnabled)), wanted a dataset that the library datasets opens. Check `dataset`, `config`, "
        "`revision` and the network (`hf auth login` gives access to gated ones), and delete what is damaged in the "
        "library's cache. Without a network, name a local folder, or Parquet files with kind 'parquet'."
    )


@pytest.mark.parametrize(
    "error",
    [
        datasets.exceptions.DatasetNotFoundError("Dataset 'team/animals' is a gated\ndataset on the Hub."),
        ConnectionError("no\nnetwork"),
        ValueError("BuilderConfig 'x' not found.\nAvailable: ['default']"),
        RuntimeError("Dataset scripts are no longer supported, but found\nanimals.py"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_library_says_is_in_the_line(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    assert f"team/animals: found nothing to open ({said}), wanted a dataset that" in message()


def test_a_full_disk_is_named_and_not_only_when_it_was_met(hub, monkeypatch):
    def fail(*_, **__):
        raise datasets.exceptions.DatasetGenerationError("An error occurred") from OSError(
            28, "No space left on device"
        )

    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", fail)
    assert "found nothing to open (OSError: [Errno 28] No space left on device)" in message()


def test_a_description_that_names_a_file_elsewhere_is_refused(folder):
    as_files(folder)
    place = "../plants/test.parquet"
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: {place}\n---\n"
    (folder / "animals/README.md").write_text(card)
    wanted = f"found a description that names {folder}/plants/test.parquet, wanted files of its own folder"
    assert wanted in message(dataset=f"{folder}/animals", config=None, revision=None)


def test_a_saved_dataset_that_names_a_file_elsewhere_is_refused(folder):
    as_saved(folder)
    shutil.copytree(folder / "animals", folder / "elsewhere")
    state = folder / "animals/test/state.json"
    elsewhere = {"filename": "../../elsewhere/test/data-00000-of-00001.arrow"}
    state.write_text(json.dumps(json.loads(state.read_text()) | {"_data_files": [elsewhere]}))
    wanted = f"names {folder}/elsewhere/test/data-00000-of-00001.arrow, wanted files of its own folder"
    assert wanted in message(dataset=f"{folder}/animals", config=None, revision=None)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"label,image\n" * 100], ids=["empty", "magic", "text"])
def test_a_file_that_is_not_parquet_is_refused(folder, content):
    as_files(folder)
    (folder / "plants/test.parquet").write_bytes(content)
    assert "found nothing to open (Arrow" in message(dataset=f"{folder}/plants", config=None, revision=None)


def images_or_none(data):
    try:
        return told(open_set(data, "plants"))
    except ImageFileError:
        return None


@pytest.mark.parametrize("name", ["dataset_dict.json", "test/state.json", "test/dataset_info.json"])
def test_a_saved_dataset_with_a_description_cut_anywhere_is_refused(folder, name):
    as_saved(folder)
    whole = (folder / "plants" / name).read_bytes()
    for length in range(0, len(whole), 7):
        (folder / "plants" / name).write_bytes(whole[:length])
        assert images_or_none(dataset_data(folder)) is None


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_flipped_byte_of_a_saved_dataset_ends_in_one_line_or_in_images(folder, flip):
    as_saved(folder)
    file = folder / "plants/test/data-00000-of-00001.arrow"
    whole = file.read_bytes()
    found = []
    for place in range(0, len(whole), 11):
        file.unlink()  # what is mapped already stays as it was
        file.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        found.append(images_or_none(dataset_data(folder)))
    assert None in found
    assert any(found), "then the library reads damaged files, which docs/images.md says"
