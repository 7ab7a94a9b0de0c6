"""Tables beyond the budget lie in files, with the same values; nothing else notices."""

import gc
import os

import numpy as np
import pytest
import torch

from pipeline.runtime import memory, shortage
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import WORK
from pipeline.runtime.memory import ENVIRONMENT, empty_table, gathered, memory_budget, share_budget


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    gc.collect()
    monkeypatch.setattr(memory, "_table_bytes", memory._TableBytes())


def mapped(table):
    return isinstance(table, np.memmap)


@pytest.mark.parametrize(
    ("asked", "size"), [("17", 17), ("8GiB", 2**33), ("1.5 MiB", 3 * 2**19), ("2KiB", 2048), ("1TiB", 2**40)]
)
def test_the_budget_is_what_the_environment_says(asked, size, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, asked)
    assert memory_budget() == size


@pytest.mark.parametrize("asked", ["lots", "8 GB", "-1", "1e9", "GiB"])
def test_a_budget_that_is_none_is_one_line(asked, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, asked)
    with pytest.raises(PipelineError, match=f"LATENT_OUTLIERS_MEMORY is '{asked}', wanted bytes or a number with KiB"):
        memory_budget()


def test_without_one_it_is_half_of_what_there_is(monkeypatch, tmp_path):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(shortage, "CGROUP", tmp_path / "memory.max")
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit, wanted in (("max\n", machine // 2), (f"{2**20}\n", 2**19), (f"{2**60}\n", machine // 2)):
        shortage.CGROUP.write_text(limit)
        assert memory_budget() == wanted


def test_processes_side_by_side_share_the_budget(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "1KiB")
    share_budget(4)
    assert memory_budget() == 256


def test_tables_are_in_memory_while_the_budget_lasts_and_give_it_back(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "1KiB")
    first, second = empty_table((64,), np.float64), empty_table((512,), np.uint8)
    third = empty_table((1,), np.uint8)
    assert [mapped(table) for table in (first, second, third)] == [False, False, True]
    del second
    assert not mapped(empty_table((512,), np.uint8))


def test_a_tensor_keeps_its_table_counted(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "1KiB")
    view = torch.from_numpy(empty_table((128,), np.float64)).view(2, 64)[1]
    assert mapped(empty_table((1,), np.uint8))
    del view
    assert not mapped(empty_table((1024,), np.uint8))


def test_a_file_holds_what_is_written_and_has_no_name(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "0")
    table = empty_table((3, 4), np.float32)
    table[:] = np.arange(12).reshape(3, 4)
    assert mapped(table)
    assert torch.from_numpy(table).sum() == 66
    assert list(WORK.iterdir()) == []


def test_an_empty_table_may_be_a_file_too(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "0")
    empty_table((1,), np.uint8)
    assert empty_table((0, 4), np.float32).shape == (0, 4)


def test_a_full_disk_is_an_error_before_anything_is_written(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "0")
    with pytest.raises(OSError, match=r"File too large|No space left|Invalid argument"):
        empty_table((2**62,), np.uint8)


@pytest.mark.parametrize("budget", ["0", "1GiB"])
def test_gathered_rows_are_those_of_indexing(budget, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, budget)
    rows = torch.arange(5000 * 3.0).view(5000, 3)
    index = np.random.default_rng(0).integers(0, 5000, 2500)
    assert torch.equal(gathered(rows, index), rows[torch.from_numpy(index)])
    assert gathered(rows, index[:0]).shape == (0, 3)
