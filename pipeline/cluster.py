"""Run units of work as tasks of a Ray cluster, behind the interface of the standard library's own pools."""

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

from pipeline.device import ENVIRONMENT, chosen_device
from pipeline.errors import ClusterError, MissingExtraError, PipelineError, reason
from pipeline.files import file_digest
from pipeline.workspace import WORK, library_versions, loaded_code

EXTRA = "ray"
OPTION = "--ray (RAY_ADDRESS)"
TASK = "latent-outliers"
"""Name of a task in Ray's own lists, and, after `ray::`, of a process that runs one."""
RETRIES = 3
"""How often Ray runs a unit again whose process or machine was lost."""
SECONDS_TO_ANSWER = 5


class Driver(NamedTuple):
    """What a worker must have in common with the process that asks, or its bytes might be others."""

    folder: str
    device: str
    libraries: tuple[tuple[str, str], ...]
    code: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls) -> "Driver":
        """Return this process: its folder, kind of device, versions of libraries, and digests of the code it loaded."""
        libraries, code = library_versions(), loaded_code()
        return cls(str(Path.cwd()), chosen_device().type, tuple(libraries.items()), tuple(code.items()))


class RayPool(Executor):
    """A pool whose calls are Ray tasks: Ray places them, and runs those again whose process or machine was lost.

    A call's own error is raised once, as in any pool; BrokenProcessPool is the error of one that was lost too often.
    Leaving the block disconnects, which ends the tasks that are not done.

    threads: the cores that a task takes on its machine; it takes a GPU too when this process computes on one.
    """

    def __init__(self, address: str, threads: int) -> None:
        driver = Driver.here()
        self._ray = _connected(address)
        wanted = {"CPU": threads, "GPU": int(driver.device == "cuda")}
        try:
            _require_room(self._ray.nodes(), address, wanted)
        except ClusterError:
            self._ray.shutdown()
            raise
        self._driver = self._ray.put(driver)
        self._task = self._ray.remote(_run).options(
            num_cpus=wanted["CPU"],
            num_gpus=wanted["GPU"],
            max_retries=RETRIES,
            retry_exceptions=False,
            name=TASK,
        )

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call, which must be picklable."""
        outcome: Future[Any] = Future()
        call = self._ray.cloudpickle.dumps((function, args, kwargs))
        self._task.remote(self._driver, call).future().add_done_callback(partial(_hand_over, self._ray, outcome))
        return outcome

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Disconnect: the cluster goes on, this process's tasks end."""
        self._ray.shutdown()


class RanksPool(RayPool):
    """A pool whose calls are each made by several Ray processes at once, which torch.distributed joins (Ray Train).

    One call runs at a time. An error that the user can put right is raised at once; any other may only be what the
    rest makes of a lost process, so that all of them start the call over, up to RETRIES times.
    """

    def __init__(self, address: str, threads: int, ranks: int) -> None:
        super().__init__(address, threads)
        if (cores := self._ray.cluster_resources().get("CPU", 0)) < threads * ranks:
            self._ray.shutdown()
            advice = "Join more machines to it, or ask for fewer --ranks."
            raise ClusterError(f"{OPTION} {address}", f"{cores:g} cores", f"{threads * ranks}, one per rank", advice)
        self._threads, self._ranks = threads, ranks
        self._one_by_one = ThreadPoolExecutor(1)
        WORK.mkdir(exist_ok=True)
        self._notes = Path(tempfile.mkdtemp(prefix="ranks-", dir=WORK)).absolute()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call, which must be picklable, and of whose results only files are kept."""
        return self._one_by_one.submit(self._train, self._ray.cloudpickle.dumps((function, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Disconnect, which ends the processes."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._one_by_one.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._notes, ignore_errors=True)

    def _train(self, call: bytes) -> None:
        failed = import_module("ray.train").TrainingFailedError
        for left in reversed(range(1 + RETRIES)):
            try:
                self._trainer(call).fit()
            except failed as error:
                own = [each for each in getattr(error, "worker_failures", {}).values() if not self._is_loss(each)]
                for mistake in own:
                    if isinstance(mistake, PipelineError) or not left:
                        raise mistake from error
                if not left:
                    raise BrokenProcessPool(reason(error)) from error
            else:
                return

    def _is_loss(self, failure: Exception) -> bool:
        return isinstance(failure, self._ray.exceptions.RayError)

    def _trainer(self, call: bytes) -> Any:
        train = import_module("ray.train")
        return import_module("ray.train.torch").TorchTrainer(
            _run_rank,
            train_loop_config={"driver": Driver.here(), "call": call},
            scaling_config=train.ScalingConfig(
                num_workers=self._ranks,
                use_gpu=chosen_device().type == "cuda",
                resources_per_worker={"CPU": self._threads},
            ),
            run_config=train.RunConfig(
                storage_path=str(self._notes), logging_config=train.LoggingConfig(log_level="ERROR")
            ),
        )


def _connected(address: str) -> Any:
    """Return the package ray, connected to a cluster; raises MissingExtraError or ClusterError."""
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", EXTRA, OPTION, reason(error)) from error
    try:
        _require_listener(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        advice = (
            "Start it with `ray start --head`, join this machine to it with `ray start --address=…`, see that both "
            "have the same token (docs/cluster.md), or unset RAY_ADDRESS to compute here."
        )
        raise ClusterError(f"{OPTION} {address}", f"no cluster ({reason(error)})", "a running one", advice) from error
    return ray


def _require_listener(address: str) -> None:
    """Raise OSError unless something answers at a `host:port`; Ray by itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()


def _require_room(nodes: list[dict[str, Any]], address: str, wanted: Mapping[str, int]) -> None:
    """Raise ClusterError unless a task fits on some machine: Ray by itself would wait for one to join."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(node.get(name, 0) >= count for name, count in wanted.items()) for node in alive):
        found = "; ".join(f"{node.get('CPU', 0):g} cores and {node.get('GPU', 0):g} GPUs" for node in alive)
        raise ClusterError(
            f"{OPTION} {address}",
            f"machines of {found}",
            f"one of at least {wanted['CPU']} cores and {wanted['GPU']} GPUs",
            "Start a larger one, or set --num-cpus of `ray start`.",
        )


def _run_rank(config: Mapping[str, Any]) -> None:
    _run(config["driver"], config["call"])


def _run(driver: Driver, call: bytes) -> Any:
    """Make a call in a worker process: in the driver's folder, with nothing but the driver's own code."""
    _settle(driver)
    function, args, kwargs = import_module("ray.cloudpickle").loads(call)
    return function(*args, **kwargs)


@lru_cache(maxsize=1)
def _settle(driver: Driver) -> None:
    """Go to the driver's folder, and raise ClusterError where this process would compute anything else."""
    where = f"worker on {platform.node()}"
    try:
        os.chdir(driver.folder)
    except OSError as error:
        advice = "Mount the shared folder there under the same path, or leave the machine out."
        raise ClusterError(where, f"no folder {driver.folder}", "the folder of the run", advice) from error
    os.environ[ENVIRONMENT] = driver.device
    chosen_device()  # raises DeviceError where there is no such device
    found = dict(library_versions())
    others = [f"{name} {found.get(name)}, not {own}" for name, own in driver.libraries if found.get(name) != own]
    others += [f"another {name}" for name, own in driver.code if _code(name) != own]
    if others:
        advice = "Start `ray start` there from the run's own environment and checkout, and run again."
        raise ClusterError(where, ", ".join(others[:5]), "the code and libraries of the run", advice)


def _code(module: str) -> str | None:
    """Return the digest of the file that an import of `module` would run here; None where there is none."""
    try:
        found = importlib.util.find_spec(module)
    except ImportError:
        return None
    return file_digest(Path(found.origin)) if found is not None and found.origin is not None else None


def _hand_over(ray: Any, outcome: Future[Any], done: Future[Any]) -> None:
    """Give what became of a Ray task to the future that stands for it, with errors as any pool would have them."""
    error = done.exception()
    if error is None:
        outcome.set_result(done.result())
    elif isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, Exception):
        error.cause.__cause__ = error  # which holds the worker's traceback
        outcome.set_exception(error.cause)
    else:
        outcome.set_exception(BrokenProcessPool(reason(error)))
