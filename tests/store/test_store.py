"""What is written is read back, by us and by plain zarr, and only by a reader that expects it."""

import pickle

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec

from pipeline.runtime.errors import IncompatibleStoreError
from pipeline.runtime.files import MANIFEST
from pipeline.store import format as layout
from pipeline.store import writer as writer_module
from pipeline.store.fill import fill
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from tests.helpers.make import SPACE, UNIT, latents_store, outliers_store, write_store

NAMES = ("a", "b")


@pytest.fixture
def small_shards(monkeypatch):
    """Three shards of 256 rows, the last one padded."""
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)


def values(rows=700):
    return np.random.default_rng(0).standard_normal((rows, *SPACE.shape)).astype(np.float16)


def test_rows_come_back_as_they_were_written(tmp_path, small_shards):
    distances = np.arange(700, dtype=np.float32)
    store = Store(write_store(tmp_path / "s", values(), {"distance": distances}, "latents", NAMES))
    assert (store.rows, store.manifest.shards) == (700, 3)
    np.testing.assert_array_equal(store.latents(), values())
    np.testing.assert_array_equal(store.column("distance"), distances)


def test_taking_rows_reads_only_their_shards(tmp_path, small_shards):
    folder = write_store(tmp_path / "s", values(), {}, "latents", NAMES)
    (folder / layout.chunk_file("latent", 1)).write_bytes(b"x" * (256 * 128 + 4))
    rows = np.array([699, 3, 3, 512])
    np.testing.assert_array_equal(Store(folder).take("latent", rows), values()[rows])


def test_plain_zarr_reads_it(tmp_path, small_shards):
    write_store(tmp_path / "s", values(), {"lam": np.arange(700.0)}, "latents", NAMES)
    group = zarr.open_group(tmp_path / "s", mode="r")
    np.testing.assert_array_equal(group["latent"][:], values())
    np.testing.assert_array_equal(group["lam"][:], np.arange(700.0))
    assert group.attrs["class_names"] == list(NAMES)


def test_shards_are_the_bytes_zarr_itself_writes(tmp_path, small_shards):
    write_store(tmp_path / "s", values(), {}, "latents", NAMES)
    shape = SPACE.shape
    array = zarr.create_array(
        tmp_path / "z", shape=(700, *shape), chunks=(256, *shape), dtype="<f2", fill_value=np.nan,
        compressors=[Crc32cCodec()],
    )  # fmt: skip
    array[:] = values()
    for shard in range(3):
        ours = (tmp_path / "s" / layout.chunk_file("latent", shard)).read_bytes()
        assert ours == (tmp_path / "z" / "c" / str(shard) / "0" / "0" / "0").read_bytes()


def test_the_same_rows_are_the_same_bytes(tmp_path):
    digests = {Store(latents_store(tmp_path / name)).digest for name in "ab"}
    assert len(digests) == 1


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 1000, 100_000])
@pytest.mark.parametrize("row_bytes", [2, 128, 32_768, 10**9])
def test_shards_are_whole_blocks_and_little_is_padded(rows, row_bytes):
    per_shard = layout.rows_per_shard(rows, row_bytes)
    shards = layout.shard_ranges(rows, per_shard)
    assert sum(len(shard) for shard in shards) == rows
    assert len(shards) == 1 or per_shard % layout.BLOCK_ROWS == 0
    assert len(shards) == 1 or per_shard * row_bytes <= max(layout.SHARD_BYTES, layout.BLOCK_ROWS * row_bytes)
    assert per_shard * len(shards) - rows < layout.BLOCK_ROWS * len(shards)


def test_a_resumed_writer_asks_only_for_what_is_missing(tmp_path, small_shards):
    first = StoreWriter(tmp_path, 700, SPACE.shape, {})
    first.write_shard(1, values()[256:512], {})
    assert StoreWriter(tmp_path, 700, SPACE.shape, {}).missing_shards() == [0, 2]


def test_a_torn_shard_is_missing(tmp_path, small_shards):
    writer = StoreWriter(tmp_path, 700, SPACE.shape, {})
    writer.write_shard(0, values()[:256], {})
    chunk = tmp_path / layout.chunk_file("latent", 0)
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert writer.missing_shards() == [0, 1, 2]


def test_an_incomplete_store_cannot_be_finished(tmp_path, small_shards):
    writer = StoreWriter(tmp_path, 700, SPACE.shape, {})
    with pytest.raises(RuntimeError, match=r"shards \[0, 1, 2\] are not written"):
        writer.finish(kind="latents", space=SPACE, standardisation=UNIT, class_names=(), provenance={})


def test_a_file_that_is_short_on_disk_is_not_sealed(tmp_path, monkeypatch):
    write = writer_module.write_pieces
    monkeypatch.setattr(
        writer_module, "write_pieces", lambda path, pieces, sync: write(path, list(pieces)[:-1], sync=sync)
    )
    with pytest.raises(OSError, match="shorter than what was written.*latent/c/0/0/0/0"):
        write_store(tmp_path / "s", values(), {}, "latents", NAMES)
    assert not (tmp_path / "s" / MANIFEST).exists()


def test_a_shard_of_the_wrong_shape_is_a_bug(tmp_path):
    writer = StoreWriter(tmp_path, 10, SPACE.shape, {"lam": np.dtype("f4")})
    with pytest.raises(ValueError, match="shard 0: got latents"):
        writer.write_shard(0, values(9), {"lam": np.zeros(9)})


def test_shards_of_writers_elsewhere_make_the_same_store(tmp_path, small_shards, monkeypatch):
    lam = np.arange(700, dtype=np.float32)
    alone = Store(write_store(tmp_path / "a", values(), {"lam": lam}, "latents", NAMES))
    writer = StoreWriter(tmp_path / "b", 700, SPACE.shape, {"lam": lam.dtype})
    travelling = pickle.dumps(writer)
    monkeypatch.setattr(layout, "SHARD_BYTES", 1)  # elsewhere it may be another: shards are as they were settled here
    for shard, rows in enumerate(writer.shards):
        other = pickle.loads(travelling)
        part = slice(rows.start, rows.stop)
        other.write_shard(shard, values()[part], {"lam": lam[part]})
        writer.adopt(other.sealed())
    facts = {"space": SPACE, "standardisation": UNIT, "class_names": NAMES, "provenance": alone.header.provenance}
    writer.finish(kind="latents", **facts)
    assert Store(tmp_path / "b").digest == alone.digest


def test_a_maker_that_leaves_rows_out_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match="made 9 rows of 10"):
        fill(StoreWriter(tmp_path, 10, SPACE.shape, {}), lambda rows, latents: [{"lam": np.ones(9)}], "test")


@pytest.mark.parametrize(
    ("field", "value"),
    [("encoder", "xyz"), ("scaling_factor", 1.0), ("image_size", 64), ("shape", (4, 2, 8))],
)
def test_another_latent_space_is_refused_naming_both_sides(tmp_path, field, value):
    store = Store(latents_store(tmp_path / "s"))
    with pytest.raises(IncompatibleStoreError, match=f"its latent space's {field} is .*, wanted .*") as caught:
        store.require("latents", SPACE.model_copy(update={field: value}))
    assert repr(value) in str(caught.value)
    assert repr(getattr(SPACE, field)) in str(caught.value)


def test_another_class_list_is_refused(tmp_path):
    store = Store(outliers_store(tmp_path / "s"))
    with pytest.raises(IncompatibleStoreError, match="its class list is .*'class 2'.*wanted .*'cat'"):
        store.require("outliers", SPACE, ("cat",))


def test_latents_are_not_taken_for_outliers(tmp_path):
    with pytest.raises(IncompatibleStoreError, match="its kind is 'latents', wanted 'outliers'"):
        Store(latents_store(tmp_path / "s")).require("outliers", SPACE)


def test_a_column_that_is_not_there_is_a_bug(tmp_path):
    with pytest.raises(KeyError, match="no column 'lam'"):
        Store(latents_store(tmp_path / "s")).column("lam")
