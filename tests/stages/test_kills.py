"""Synthesis killed at any moment resumes to the bytes of an uninterrupted run, and nobody ever sees a torn shard."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import google_crc32c
import numpy as np
import pytest

from pipeline.runtime.files import folder_digest
from pipeline.store.reader import Store
from tests.helpers.make import ROOT, changed, denoiser_of, latents_store, tiny_params, write_params

KILLS = 50
SHARDS = 12

STARTER = """
import os, runpy, sys
import pipeline.store.format as layout
layout.SHARD_BYTES = 2**15  # 256 rows
import pipeline.outliers.make, pipeline.outliers.methods.perturb, pipeline.params.methods.section, zarr.codecs
for output in sys.stdin:
    if (pid := os.fork()) == 0:
        sys.argv = ["synthesize", "perturb", "id", "models/denoiser/perturb", output.strip()]
        try:
            runpy.run_module("stages.synthesize", run_name="__main__")
        except SystemExit as ended:
            os._exit(ended.code)  # what Python does at its end takes longer than the synthesis
        os._exit(1)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Imports take seconds, the synthesis less: one process imports, and forks each synthesis that is killed."""


class Starter:
    def __init__(self):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", STARTER]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def start(self, output):
        self.process.stdin.write(output + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def exit_code(self):
        return int(self.process.stdout.readline())


class Watcher(threading.Thread):
    """A reader that looks all the time: whatever has a final name must be whole."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.ended = folder, threading.Event()
        self.published = threading.Lock()
        self.shards = self.stores = 0
        self.torn = []

    def run(self):
        while not self.ended.is_set():
            with suppress(FileNotFoundError):  # published or cleared away meanwhile
                self.look_at_unfinished_work()
            with self.published:
                if (self.folder / "out").exists():
                    Store(self.folder / "out").verify(lambda _: None)
                    self.stores += 1
            time.sleep(0.01)

    def look_at_unfinished_work(self):
        for chunk in self.folder.glob(".work/*/*/latent/c/*/0/0/0"):
            content = chunk.read_bytes()
            self.shards += 1
            if google_crc32c.value(content[:-4]).to_bytes(4, "little") != content[-4:]:
                self.torn.append(chunk)


@pytest.mark.slow
def test_a_synthesis_killed_fifty_times_is_the_same_bytes_and_never_seen_torn(tmp_path, tell):
    write_params(tmp_path, changed(tiny_params(), synthesize__perturb__rows=256 * SHARDS - 9))
    denoiser_of("perturb")
    latents_store(tmp_path / "id")
    starter, watcher, rng = Starter(), Watcher(tmp_path), np.random.default_rng(0)
    starter.start("whole")
    began = time.perf_counter()
    assert starter.exit_code() == 0
    longest = time.perf_counter() - began
    whole = Store(tmp_path / "whole").digest, folder_digest(tmp_path / "whole")
    watcher.start()
    kills = finished = 0
    while kills < KILLS:
        pid = starter.start("out")
        time.sleep(rng.uniform(0, 1.2 * longest))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        kills += starter.exit_code() == -signal.SIGKILL
        if kills == KILLS or (tmp_path / "out").exists():
            finished += finish(starter, watcher, tmp_path, whole)
    watcher.ended.set()
    watcher.join()
    starter.process.communicate()
    assert starter.process.returncode == 0
    assert watcher.torn == []
    assert min(watcher.shards, watcher.stores, finished) > 0
    tell(
        f"kills: {kills} SIGKILLs over {finished} syntheses of {SHARDS} shards, all the same bytes; "
        f"{watcher.shards} shards and {watcher.stores} stores read meanwhile, none torn"
    )


def finish(starter, watcher, folder, whole):
    """Let the last run end if it has not, compare its output, and clear it away."""
    if not (folder / "out").exists():
        starter.start("out")
        assert starter.exit_code() == 0
    with watcher.published:
        assert (Store(folder / "out").digest, folder_digest(folder / "out")) == whole
        assert {path.name for path in folder.glob(".work/*/*")} == {"lock"}
        shutil.rmtree(folder / "out")
    return 1
