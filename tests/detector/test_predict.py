"""`latent-outliers predict`: a row per image in order, whatever is damaged, and a file only when it is whole."""

import csv
import errno
import io
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch

from pipeline.detector import predict, prefetch
from pipeline.detector.detector import Detector
from pipeline.detector.predict import predict_files, predicted_rows, prefetcher_for
from pipeline.detector.prediction_file import COLUMNS
from pipeline.detector.prefetch import read_batch
from pipeline.runtime.errors import ImageFileError, ReaderDiedError, UnreadImagesError
from tests.detector.make import picture_files, tiny_bundle
from tests.helpers.make import ROOT

FOLDER = Path("photos")


@pytest.fixture
def bundle():
    return tiny_bundle(Path("bundle"))


def row_batches(detector, files, batch_size):
    with prefetcher_for(detector, len(files), batch_size) as prefetched:
        yield from predicted_rows(detector, map(str, files), prefetched, strict=False)


def rows_in(file):
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def predicted(bundle, *sources, out="out.parquet", batch_size=4, strict=False):
    predict_files(lambda: Detector.load(bundle), list(sources), Path(out), batch_size=batch_size, strict=strict)
    return rows_in(Path(out))


def test_rows_are_the_predictions_of_the_detector_in_order(bundle):
    files = picture_files(FOLDER, 11)
    rows, detector = predicted(bundle, FOLDER), Detector.load(bundle)
    for file, row, answer in zip(files, rows, detector.stream(files, batch_size=4), strict=True):
        assert tuple(row) == COLUMNS
        assert row == vars(answer) | {"file": str(file), "threshold": detector.threshold}


def text(value):
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def test_csv_and_parquet_say_the_same(bundle):
    picture_files(FOLDER, 3)
    as_text = [{name: text(value) for name, value in row.items()} for row in predicted(bundle, FOLDER)]
    assert predicted(bundle, FOLDER, out="out.csv") == as_text


def test_the_batch_changes_no_decision(bundle):
    picture_files(FOLDER, 9)
    decisions = [
        [(row["label"], row["is_outlier"]) for row in predicted(bundle, FOLDER, batch_size=size)] for size in (1, 4, 64)
    ]
    assert decisions[0] == decisions[1] == decisions[2]


@pytest.mark.parametrize(("source", "found"), [("absent", "nothing there"), (".", "no image")])
def test_a_source_without_images_is_refused_before_anything_is_loaded(source, found):
    with pytest.raises(ImageFileError, match=f"{source}: found {found}"):
        predict_files(lambda: Detector.load("no bundle"), [Path(source)], None, batch_size=4, strict=False)


DAMAGE = {
    "empty": b"",
    "no image": b"only text",
    "cut": lambda whole: whole[: len(whole) // 2],
    "flipped": lambda whole: whole[:60] + bytes([whole[60] ^ 255]) + whole[61:],
}


@pytest.fixture
def damaged():
    files = picture_files(FOLDER, 9)
    for file, damage in zip(files[1::2], DAMAGE.values(), strict=True):
        file.write_bytes(damage(file.read_bytes()) if callable(damage) else damage)
    return files


def test_files_that_cannot_be_read_are_rows_and_stop_nothing(bundle, damaged):
    with pytest.raises(UnreadImagesError, match="out.parquet: 4 of 9 images could not be judged, wanted none"):
        predicted(bundle, FOLDER)
    rows = rows_in(Path("out.parquet"))
    assert [row["file"] for row in rows] == [str(file) for file in damaged]
    assert [row["error"] is None for row in rows] == [index % 2 == 0 for index in range(9)]
    assert all(str(row["file"]) in row["error"] and row["label"] is None for row in rows[1::2])


def test_a_batch_without_any_image_is_only_errors(bundle):
    files = picture_files(FOLDER, 3)
    files[0].write_bytes(b"")
    detector = Detector.load(bundle)
    assert [row[5] is None for rows in row_batches(detector, files, 1) for row in rows] == [False, True, True]


def test_strict_stops_at_the_first_and_leaves_no_file(bundle, damaged):
    with pytest.raises(ImageFileError, match="photos/001.png: found .*, wanted a picture"):
        predicted(bundle, FOLDER, strict=True)
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "photos"]


def test_an_old_table_stays_until_the_new_one_is_whole(bundle, monkeypatch):
    picture_files(FOLDER, 9)
    Path("out.csv").write_text("old")

    def fail_later(self, images):
        monkeypatch.setattr(Detector, "predict_pixels", interrupted)
        return predict_batch(self, images)

    def interrupted(self, images):
        raise KeyboardInterrupt

    predict_batch = Detector.predict_pixels
    monkeypatch.setattr(Detector, "predict_pixels", fail_later)
    with pytest.raises(KeyboardInterrupt):
        predicted(bundle, FOLDER, out="out.csv")
    assert Path("out.csv").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "out.csv", "photos"]


def test_no_more_than_a_few_batches_are_read_ahead(bundle, monkeypatch):
    read, files = [], picture_files(FOLDER, 40)
    noted = lambda names, pixels: read.append(len(names)) or read_batch(names, pixels)  # noqa: E731
    monkeypatch.setattr(prefetch, "read_batch", noted)
    rows = row_batches(Detector.load(bundle), files, 2)
    next(rows)
    assert sum(read) <= 2 * (prefetch.READERS + torch.get_num_threads())
    assert 2 + sum(len(batch) for batch in rows) == 40


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(prefetch, "PROCESSES_FROM", 1)


def test_many_images_are_read_in_processes_and_answered_the_same(bundle, damaged, monkeypatch):
    monkeypatch.setattr(prefetch, "PROCESSES_FROM", 10)
    with pytest.raises(UnreadImagesError):
        predicted(bundle, FOLDER, out="few.parquet", batch_size=1)
    assert multiprocessing.active_children() == []
    monkeypatch.setattr(prefetch, "PROCESSES_FROM", 9)
    with pytest.raises(UnreadImagesError):
        predicted(bundle, FOLDER, out="many.parquet", batch_size=1)  # more batches than slots
    assert rows_in(Path("many.parquet")) == rows_in(Path("few.parquet"))


def test_where_there_is_no_room_to_share_memory_threads_read(bundle, many, monkeypatch):
    files = picture_files(FOLDER, 9)
    monkeypatch.setattr(prefetch, "disk_usage", lambda _: SimpleNamespace(free=9 * 32 * 32 * 3 - 1))
    monkeypatch.setattr(prefetch.multiprocessing, "get_context", None)
    assert [row["error"] for row in predicted(bundle, FOLDER, batch_size=9)] == [None] * len(files)


def test_strict_names_the_first_file_that_a_process_could_not_read(bundle, damaged, many):
    with pytest.raises(ImageFileError, match="photos/001.png: found .*, wanted a picture"):
        predicted(bundle, FOLDER, strict=True)


def test_a_reader_that_dies_ends_it_in_one_line_and_leaves_no_file(bundle, many, monkeypatch):
    def kill_readers(*_):
        for reader in multiprocessing.active_children():
            reader.kill()
        return begin(*_)

    picture_files(FOLDER, 9)
    begin = prefetch.PixelPrefetcher.begin
    monkeypatch.setattr(prefetch.PixelPrefetcher, "begin", kill_readers)
    with pytest.raises(ReaderDiedError, match="a process that decodes images died"):
        predicted(bundle, FOLDER)
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "photos"]


def test_a_pool_that_is_being_closed_is_a_reader_that_died(bundle, many, monkeypatch):
    """A death is noticed in another thread, which may close the pool's pipes while a process is being added."""

    def closed(*_):
        raise OSError("handle is closed")

    picture_files(FOLDER, 9)
    monkeypatch.setattr(ProcessPoolExecutor, "submit", closed)
    with pytest.raises(ReaderDiedError, match="a process that decodes images died"):
        predicted(bundle, FOLDER)
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "photos"]


def test_an_error_of_the_system_is_no_reader_that_died(bundle, many, monkeypatch):
    def too_many(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    picture_files(FOLDER, 9)
    monkeypatch.setattr(ProcessPoolExecutor, "submit", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        predicted(bundle, FOLDER)


@pytest.mark.parametrize(
    ("size", "batch_size", "side_by_side"), [(32, 64, 4), (256, 32, 2), (256, 64, 1), (512, 64, 1)]
)
def test_the_larger_a_batch_the_fewer_are_computed_side_by_side(size, batch_size, side_by_side, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    cpu, gpu = (SimpleNamespace(image_size=size, device=torch.device(name)) for name in ("cpu", "cuda"))
    assert predict._batches_side_by_side(cpu, batch_size) == side_by_side
    assert predict._batches_side_by_side(gpu, batch_size) == 1


def test_each_batch_has_one_thread_of_pytorch_and_afterwards_there_are_as_many_as_before(bundle, monkeypatch):
    files, before, seen = picture_files(FOLDER, 9), torch.get_num_threads(), set()
    predict_batch = Detector.predict_pixels
    noted = lambda self, images: seen.add(torch.get_num_threads()) or predict_batch(self, images)  # noqa: E731
    monkeypatch.setattr(Detector, "predict_pixels", noted)
    torch.set_num_threads(3)
    assert len(list(row_batches(Detector.load(bundle), files, 4))) == 3
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    assert seen == {1}
    seen.clear()
    assert len(list(row_batches(Detector.load(bundle), files, 9))) == 1
    assert seen == {3}  # one batch has them all
    torch.set_num_threads(before)


def test_a_name_that_is_no_text_is_spelt_out(bundle):
    (file,) = picture_files(FOLDER, 1)
    try:
        file.rename(FOLDER / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert [row["file"] for row in predicted(bundle, FOLDER)] == ["photos/\\xff.png"]
    (FOLDER / os.fsdecode(b"\xff.png")).write_bytes(b"")
    for out in ("again.parquet", "again.csv"):
        with pytest.raises(UnreadImagesError):
            predicted(bundle, FOLDER, out=out)
        (row,) = rows_in(Path(out))
        assert row["error"].startswith("photos/\\xff.png: found no image")


def test_files_that_vanish_meanwhile_are_not_counted(bundle, monkeypatch, capsys):
    files, listed = picture_files(FOLDER, 3), predict.count_images
    monkeypatch.setattr(predict, "count_images", lambda *sources: (listed(*sources), files[0].unlink())[0])
    assert len(predicted(bundle, FOLDER)) == 2
    assert "2 images judged" in capsys.readouterr().err


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from pipeline.cli.main import main; main()", "predict", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_prints_csv_and_fails_when_an_image_did(bundle):
    files = picture_files(FOLDER, 3)
    files[1].write_bytes(b"")
    done = command(bundle, FOLDER)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith("2 images judged, ")
    assert done.stderr.splitlines()[-1].startswith("error: standard output: 1 of 3 images could not be judged")


def test_a_table_of_another_kind_is_a_usage_error(bundle):
    done = command(bundle, FOLDER, "--out", "table.xlsx")
    assert done.returncode == 2
    assert "ends in neither .parquet nor .csv" in done.stderr


def test_a_damaged_bundle_is_one_line_and_leaves_no_file(bundle):
    picture_files(FOLDER, 1)
    (bundle / "scorer.safetensors").write_bytes(b"")
    done = command(bundle, FOLDER, "--out", "out.csv")
    assert done.returncode == 1
    assert done.stderr.startswith("error: bundle/scorer.safetensors: found SHA-256")
    assert done.stderr.count("\n") == 1
    assert not Path("out.csv").exists()
