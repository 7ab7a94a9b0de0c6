"""Run units of work as tasks of a Ray cluster, through the pool interface of the standard library."""

import importlib.util
import logging
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runtime.code import library_versions, loaded_code
from pipeline.runtime.device import ENVIRONMENT, chosen_device
from pipeline.runtime.errors import ClusterError, MissingExtraError, PipelineError, reason
from pipeline.runtime.files import WORK, file_digest

EXTRA = "ray"
OPTION = "--ray (RAY_ADDRESS)"
TASK = "latent-outliers"
"""Name of a task in Ray's lists. A process that runs a task has the same name with the prefix `ray::`."""
RETRIES = 3
"""How often Ray repeats a unit whose process or machine was lost."""
SECONDS_TO_ANSWER = 5


class Driver(NamedTuple):
    """The environment of the process that starts a run. A worker must share it, or its output might differ."""

    folder: str
    device: str
    libraries: tuple[tuple[str, str], ...]
    code: tuple[tuple[str, str], ...]

    @classmethod
    def current(cls) -> "Driver":
        """Return the environment of this process: folder, device type, library versions and digests of code."""
        libraries, code = library_versions(), loaded_code()
        return cls(str(Path.cwd()), chosen_device().type, tuple(libraries.items()), tuple(code.items()))


class RayPool(Executor):
    """A pool whose calls are Ray tasks.

    Ray chooses the machine of a task, and repeats a task whose process or machine was lost. An error in a call
    is raised without another attempt, as in any pool. A call that was lost too often ends with BrokenProcessPool.
    Leaving the block disconnects from the cluster, which ends unfinished tasks.

    threads: number of cores that a task takes. A task also takes a GPU if this process computes on a GPU.
    """

    def __init__(self, address: str, threads: int) -> None:
        driver = Driver.current()
        self._ray = _connect(address)
        resources = {"CPU": threads, "GPU": int(driver.device == "cuda")}
        try:
            _require_capacity(self._ray.nodes(), address, resources)
        except ClusterError:
            self._ray.shutdown()
            raise
        self._driver = self._ray.put(driver)
        self._task = self._ray.remote(_run).options(
            num_cpus=resources["CPU"],
            num_gpus=resources["GPU"],
            max_retries=RETRIES,
            retry_exceptions=False,
            name=TASK,
        )

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call. The call must be picklable."""
        result: Future[Any] = Future()
        call = self._ray.cloudpickle.dumps((function, args, kwargs))
        self._task.remote(self._driver, call).future().add_done_callback(partial(_copy_outcome, self._ray, result))
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Disconnect. This process's tasks end, and the cluster keeps running."""
        self._ray.shutdown()


class RanksPool(RayPool):
    """A pool in which several Ray processes make each call together, joined by torch.distributed (Ray Train).

    One call runs at a time. An error that the user can put right is raised at once. Any other error may be a mere
    consequence of a lost process. All processes then start the call again, up to RETRIES times.
    """

    def __init__(self, address: str, threads: int, ranks: int) -> None:
        super().__init__(address, threads)
        if (cores := self._ray.cluster_resources().get("CPU", 0)) < threads * ranks:
            self._ray.shutdown()
            advice = "Add machines to the cluster, or lower --ranks."
            raise ClusterError(f"{OPTION} {address}", f"{cores:g} cores", f"{threads * ranks}, one per rank", advice)
        self._threads, self._ranks = threads, ranks
        self._call_thread = ThreadPoolExecutor(1)
        WORK.mkdir(exist_ok=True)
        self._train_folder = Path(tempfile.mkdtemp(prefix="ranks-", dir=WORK)).absolute()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call. The call must be picklable, and only the files that it writes are kept."""
        return self._call_thread.submit(self._train, self._ray.cloudpickle.dumps((function, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Disconnect from the cluster, which ends the processes."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._call_thread.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._train_folder, ignore_errors=True)

    def _train(self, call: bytes) -> None:
        training_failed = import_module("ray.train").TrainingFailedError
        for remaining in reversed(range(1 + RETRIES)):
            try:
                self._trainer(call).fit()
            except training_failed as error:
                for failure in getattr(error, "worker_failures", {}).values():
                    if not self._is_loss(failure) and (isinstance(failure, PipelineError) or not remaining):
                        raise failure from error
                if not remaining:
                    raise BrokenProcessPool(reason(error)) from error
            else:
                return

    def _is_loss(self, failure: Exception) -> bool:
        """Return whether Ray lost a process, in contrast to an error that the call raised."""
        return isinstance(failure, self._ray.exceptions.RayError)

    def _trainer(self, call: bytes) -> Any:
        train = import_module("ray.train")
        return import_module("ray.train.torch").TorchTrainer(
            _run_rank,
            train_loop_config={"driver": Driver.current(), "call": call},
            scaling_config=train.ScalingConfig(
                num_workers=self._ranks,
                use_gpu=chosen_device().type == "cuda",
                resources_per_worker={"CPU": self._threads},
            ),
            run_config=train.RunConfig(
                storage_path=str(self._train_folder), logging_config=train.LoggingConfig(log_level="ERROR")
            ),
        )


def _connect(address: str) -> Any:
    """Connect to a cluster and return the package ray; raises MissingExtraError or ClusterError."""
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", EXTRA, OPTION, reason(error)) from error
    try:
        _require_listener(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        advice = (
            "Start a cluster with `ray start --head`, or join this machine to it with `ray start --address=…`. Check "
            "that both have the same token (docs/cluster.md). To compute on this machine alone, unset RAY_ADDRESS."
        )
        raise ClusterError(
            f"{OPTION} {address}", f"no cluster ({reason(error)})", "a running cluster", advice
        ) from error
    return ray


def _require_listener(address: str) -> None:
    """Raise OSError unless a server answers at a `host:port`. Ray alone would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()


def _require_capacity(nodes: list[dict[str, Any]], address: str, resources: Mapping[str, int]) -> None:
    """Raise ClusterError unless a task fits on one of the machines. Ray alone would wait until such a machine joins."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(node.get(name, 0) >= count for name, count in resources.items()) for node in alive):
        found = "; ".join(f"{node.get('CPU', 0):g} cores and {node.get('GPU', 0):g} GPUs" for node in alive)
        raise ClusterError(
            f"{OPTION} {address}",
            f"machines of {found}",
            f"one of at least {resources['CPU']} cores and {resources['GPU']} GPUs",
            "Add a larger machine, or set --num-cpus of `ray start`.",
        )


def _run_rank(config: Mapping[str, Any]) -> None:
    _run(config["driver"], config["call"])


def _run(driver: Driver, call: bytes) -> Any:
    """Make a call in a worker process, in the driver's folder and with the driver's code."""
    _prepare_worker(driver)
    function, args, kwargs = import_module("ray.cloudpickle").loads(call)
    return function(*args, **kwargs)


@lru_cache(maxsize=1)
def _prepare_worker(driver: Driver) -> None:
    """Change to the driver's folder; raises ClusterError if this process could compute different bytes."""
    where = f"worker on {platform.node()}"
    try:
        os.chdir(driver.folder)
    except OSError as error:
        advice = "Mount the shared folder on that machine under the same path, or remove the machine from the cluster."
        raise ClusterError(where, f"no folder {driver.folder}", "the folder of the run", advice) from error
    os.environ[ENVIRONMENT] = driver.device
    chosen_device()  # raises DeviceError if this machine lacks the device
    versions = dict(library_versions())
    differences = [
        f"{name} {versions.get(name)}, not {version}"
        for name, version in driver.libraries
        if versions.get(name) != version
    ]
    differences += [f"another version of {name}" for name, digest in driver.code if _code_digest(name) != digest]
    if differences:
        advice = "Run `ray start` on that machine in the environment and checkout of the run, then run the stage again."
        raise ClusterError(where, ", ".join(differences[:5]), "the code and libraries of the run", advice)


def _code_digest(module: str) -> str | None:
    """Return the digest of the file that an import of `module` would run in this process; None if there is no file."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return None
    return file_digest(Path(spec.origin)) if spec is not None and spec.origin is not None else None


def _copy_outcome(ray: Any, result: Future[Any], task: Future[Any]) -> None:
    """Copy the outcome of a Ray task to the pool's future, with the errors that any other pool would raise."""
    error = task.exception()
    if error is None:
        result.set_result(task.result())
    elif isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, Exception):
        error.cause.__cause__ = error  # it has the worker's traceback
        result.set_exception(error.cause)
    else:
        result.set_exception(BrokenProcessPool(reason(error)))
