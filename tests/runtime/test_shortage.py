"""Memory and disks that do not suffice are known by what libraries really raise, and end in one line."""

import errno
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from pipeline.runtime.command import LESS_MEMORY, run_app
from pipeline.runtime.errors import ModelError, OutOfMemoryError
from pipeline.runtime.shortage import as_size, machine_memory, needed_memory, require_memory, system_error
from tests.stages.test_stages import STAGES

ASKING_TOO_MUCH = {
    "numpy": lambda: np.ones(2**60),
    "numpy, beyond addresses": lambda: np.empty((2**40, 2**40)),
    "torch": lambda: torch.empty(2**60),
    "torch, beyond addresses": lambda: torch.empty(2**40, 2**40),
    "bytes": lambda: bytearray(2**60),
    "a thread of a pool": lambda: list(ThreadPoolExecutor(1).map(torch.empty, [2**60])),
}
OTHERS = [ValueError("the image is too big"), RuntimeError("shapes differ"), KeyError("memory"), OSError(28, "full")]


@pytest.mark.parametrize("what", ASKING_TOO_MUCH)
def test_what_asks_for_too_much_memory_is_one_line(what, capsys):
    with pytest.raises(SystemExit) as ended:
        run_app(ASKING_TOO_MUCH[what], "encode")
    line = capsys.readouterr().err
    assert ended.value.code == 1
    assert re.fullmatch(r"error: stage encode: needs .+, there are .+iB. Lower encode.batch_size or .*\n", line)


def test_the_size_that_was_asked_for_is_said():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert needed_memory(caught.value) == "4.0 PiB"
    of_gpu = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of …")
    assert needed_memory(of_gpu) == "20.00 GiB"
    assert needed_memory(OSError(errno.ENOMEM, "Cannot allocate memory")) == "more memory"


@pytest.mark.parametrize("error", OTHERS)
def test_other_errors_are_no_shortage_of_memory(error):
    assert needed_memory(error) is None


def test_every_stage_says_what_to_lower():
    assert set(LESS_MEMORY) == set(STAGES)


def test_a_bug_keeps_its_traceback():
    def bug():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_app(bug, "encode")


def test_an_error_of_the_system_is_known_inside_an_error_of_safetensors(tmp_path, capsys):
    def save():
        save_file({"weights": np.zeros(3)}, tmp_path / "missing/model.safetensors")

    with pytest.raises(SystemExit):
        run_app(save, "encoder")
    assert re.fullmatch(r"error: \[Errno 2\] No such .* run the command again.\n", capsys.readouterr().err)
    full = system_error(ModelError("I/O error: No space left on device (os error 28)"))
    assert full is not None
    assert full.errno == errno.ENOSPC
    assert system_error(ValueError("of 28")) is None


def test_more_than_the_machine_has_is_refused_before_it_is_asked_for():
    require_memory("a table", machine_memory(), "Lower it.")
    with pytest.raises(OutOfMemoryError, match=r"^a table: needs 2.1 TiB, there are .*iB. Lower it."):
        require_memory("a table", int(2.1 * 2**40), "Lower it.")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**43, "8.0 TiB"), (2**62, "4,096.0 PiB")],
)
def test_sizes_are_read_by_people(size, text):
    assert as_size(size) == text
