"""Batches of files are decoded into slots that are reused in turn, in threads and in processes."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.detector import prefetch
from pipeline.detector.images import read_pixels
from pipeline.detector.prefetch import prefetcher, read_batch
from tests.detector.make import picture_files
from tests.helpers.make import ROOT


@pytest.mark.parametrize(("images", "pool"), [(8, ThreadPoolExecutor), (9, ProcessPoolExecutor)])
def test_pixels_of_a_batch_stay_until_its_slot_is_reused(images, pool, monkeypatch):
    monkeypatch.setattr(prefetch, "PROCESSES_FROM", 9)
    files = [str(file) for file in picture_files(Path("photos"), 9)]
    with prefetcher(images, batches=3, batch_size=2, size=16) as prefetched:
        assert type(prefetched._pool) is pool
        batches = [prefetched.begin(files[start : start + 2]) for start in (0, 2, 4)]
        assert [errors.result() for errors, _ in batches] == [[None, None]] * 3
        for (_, pixels), start in zip(batches, (0, 2, 4), strict=True):
            assert np.array_equal(pixels, [read_pixels(file, 16) for file in files[start : start + 2]])
        errors, pixels = prefetched.begin(files[6:8])
        assert errors.result() == [None, None]
        assert np.shares_memory(pixels, batches[0][1])
        assert np.array_equal(pixels, [read_pixels(file, 16) for file in files[6:8]])


def test_a_worker_does_not_load_pytorch():
    loaded = "import sys, pipeline.detector.prefetch; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_odd_files_say_nothing_beside_their_pixels():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"  # ends too early, of which Pillow warns
    Image.new("RGB", (8, 8)).save("odd.jpg", exif=exif)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read_pixels("odd.jpg", 8)
        assert warned
        warned.clear()
        assert read_batch(["odd.jpg"], np.empty((1, 8, 8, 3), np.uint8)) == [None]
    assert not warned


def test_a_pipe_is_no_image_and_is_not_waited_for():
    os.mkfifo("pipe.png")
    (error,) = read_batch(["pipe.png"], np.empty((1, 8, 8, 3), np.uint8))
    assert str(error).startswith("pipe.png: found no image")


def test_there_are_no_more_slots_than_images():
    with prefetcher(3, batches=5, batch_size=64, size=16) as prefetched:
        assert (prefetched.batches, prefetched.batch_size) == (1, 3)
