"""Files of the hub are fetched by their full address, without a network here: what fetches is replaced."""

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, OfflineModeIsEnabled

from pipeline.errors import ImageFileError, ParamsError
from pipeline.images.hub import local_file
from pipeline.images.params import DataParams
from pipeline.images.source import open_image_set
from tests.images.test_parquet import write
from tests.make import changed, parquet_data, section

ADDRESS = "hf://datasets/team/animals@abc123/plain/test-00000-of-00001.parquet"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Stand in for the hub: return the list of what was asked for; every file is cached.parquet."""
    asked = []

    def fetch(dataset, path, *, repo_type, revision):
        asked.append((dataset, path, repo_type, revision))
        return str(tmp_path / "cached.parquet")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    return asked


@pytest.mark.parametrize("name", ["data/a.parquet", "/data/hf/a.parquet", "datasets/team/animals/a.parquet"])
def test_a_path_is_left_as_it_is(hub, name):
    assert (str(local_file(name)), hub) == (name, [])


@pytest.mark.parametrize(("address", "revision"), [(ADDRESS, "abc123"), (ADDRESS.replace("@abc123", ""), None)])
def test_an_address_names_dataset_revision_and_path(hub, tmp_path, address, revision):
    assert local_file(address) == tmp_path / "cached.parquet"
    assert hub == [("team/animals", "plain/test-00000-of-00001.parquet", "dataset", revision)]


def test_images_of_the_hub_are_read_like_any_other(hub, tmp_path):
    write(tmp_path / "cached.parquet", [0, 1, 2, 3] * 20)
    data = parquet_data(tmp_path)
    there = changed(data, sources__animals__test=ADDRESS, sources__plants__file=ADDRESS.replace("test-", "plants-"))
    here = changed(data, sources__animals__test=f"{tmp_path}/cached.parquet")
    for name in ("id_test", "held_out"):
        found, wanted = (open_image_set(name, section(DataParams, one)) for one in (there, here))
        assert [found.read(row).tobytes() for row in range(len(found))] == [
            wanted.read(row).tobytes() for row in range(len(wanted))
        ]
    assert len(open_image_set("plants", section(DataParams, there))) == 80


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("no\nnetwork"),
        OfflineModeIsEnabled("no\nnetwork"),
        EntryNotFoundError("no\nnetwork"),
        ValueError("no\nnetwork"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_fetched_is_one_line(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ImageFileError) as caught:
        local_file(ADDRESS)
    assert str(caught.value) == (
        f"{ADDRESS}: found nothing to fetch (no network), wanted a file of a dataset on the hub. "
        f"Check name, revision and network, or name a local Parquet file in params.yaml."
    )


@pytest.mark.parametrize("name", ["hf://team/animals/a.parquet", "hf://datasets/animals", "hf://datasets/team/animals"])
def test_half_an_address_is_refused_before_anything_is_fetched(tmp_path, hub, name):
    with pytest.raises(ParamsError, match="wanted hf://datasets/<owner>/<dataset>@<revision>/<path of a Parquet file>"):
        section(DataParams, changed(parquet_data(tmp_path), sources__plants__file=name))
    assert hub == []


def test_an_address_is_read_as_one_thing_only(tmp_path):
    twice = changed(parquet_data(tmp_path), sources__animals__test=ADDRESS, sources__plants__file=ADDRESS)
    with pytest.raises(ParamsError, match="is the same file as"):
        section(DataParams, twice)
