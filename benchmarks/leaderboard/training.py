"""Train every method with every seed of a task: same latents, network and seeds; finished trainings are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.leaderboard.keys import code, key
from benchmarks.leaderboard.methods import Head, Library, Method, Peer, Teacher, train_params
from benchmarks.leaderboard.peers.clipping import clipped
from benchmarks.leaderboard.peers.train import train_peer
from benchmarks.leaderboard.peers.unit import PeerUnit
from benchmarks.leaderboard.project import Project
from benchmarks.leaderboard.tasks import EXPOSURE, WORK
from pipeline.schema.text import dump_yaml, plain_yaml
from pipeline.training.detector import DetectorUnit, train_detector
from stages.synthesize import synthesize


@dataclass(frozen=True)
class ClippedUnit:
    """The training of a detector with clipped gradients."""

    unit: DetectorUnit
    norm: float

    @property
    def output(self) -> Path:
        """The folder of the network."""
        return self.unit.output


AnyUnit = DetectorUnit | ClippedUnit | PeerUnit
TRAINED = WORK / "trained"
PEERS = Path("benchmarks/leaderboard/peers")
SYNTHESIS = tuple(map(Path, ("pipeline/outliers", "pipeline/params/methods", "stages/synthesize.py")))
BATCH_ROWS = 256


def train(unit: AnyUnit) -> None:
    """Train one network."""
    if isinstance(unit, PeerUnit):
        train_peer(unit)
    elif isinstance(unit, ClippedUnit):
        with clipped(unit.norm):
            train_detector(unit.unit)
    else:
        train_detector(unit)


def units(project: Project, methods: Mapping[str, Method]) -> dict[str, list[AnyUnit]]:
    """Return the trainings of each method, one per seed; cross-entropy has none, as its networks are the teachers."""
    return {
        name: [_unit(project, name, method.how, seed) for seed in project.params.seeds]
        for name, method in methods.items()
        if not isinstance(method.how, Teacher)
    }


def networks(project: Project, found: Mapping[str, list[AnyUnit]], name: str) -> tuple[Path, ...]:
    """Return the folder of a method's network of every seed."""
    if name not in found:
        return tuple(project.teacher(seed) for seed in project.params.seeds)
    return tuple(unit.output for unit in found[name])


def _unit(project: Project, name: str, how: Library | Head | Peer | Teacher, seed: int) -> AnyUnit:
    assert not isinstance(how, Teacher)
    if isinstance(how, Peer):
        return _peer(project, name, how, seed)
    unit = _detector(project, name, how, seed)
    return ClippedUnit(unit, how.clip) if isinstance(how, Head) else unit


def _peer(project: Project, name: str, how: Peer, seed: int) -> PeerUnit:
    teacher, latents = project.params.teacher, project.latents("id_train")
    exposure = project.latents(EXPOSURE) if how.name == "outlier_exposure" else None
    facts = {"peer": how.name, "seed": seed, "teacher": teacher.model_dump(mode="json"), "code": code(PEERS)}
    inputs = {"latents": latents} | ({"exposure": exposure} if exposure else {})
    output = _output(project, name, seed, key("train", facts, inputs))
    return PeerUnit(
        peer=how.name,
        seed=seed,
        network=teacher.network,
        optimiser=teacher.optimiser,
        latents=latents,
        exposure=exposure,
        output=output,
        curve=output.with_name(f"{output.name}.csv"),
    )


def _detector(project: Project, name: str, how: Library | Head, seed: int) -> DetectorUnit:
    params, clip = train_params(how, project.params.train), {}
    if isinstance(how, Head):  # trained as long as its baseline, whatever our default needs
        baseline, clip = project.params.teacher.optimiser, {"clip": how.clip}
        optimiser = baseline.model_copy(update={"learning_rate": how.rate * baseline.learning_rate})
        params = params.model_copy(update={"optimiser": optimiser})
    stores = stores_of(project, how)
    facts = {"seed": seed, "params": params.model_dump(mode="json"), **clip}
    folders = {"latents": project.latents("id_train"), "teacher": project.teacher(seed)}
    output = _output(project, name, seed, key("train", facts, folders | {path.name: path for path in stores}))
    return DetectorUnit(
        seed=seed,
        params=params,
        latents=project.latents("id_train"),
        views=None,
        validation=None,
        outliers=stores,
        teacher=project.teacher(seed),
        pretrained_teacher=project.folder / "models/pretrained_teacher",
        output=output,
        curve=output.with_name(f"{output.name}.csv"),
    )


def stores_of(project: Project, how: Library | Head) -> tuple[Path, ...]:
    """Return the stores that a training reads; those of another size are synthesized unless they are there."""
    if isinstance(how, Head):
        return (project.outliers(project.methods[0]),)  # opened, and no row of it drawn: no loss looks at outliers
    methods = how.methods or project.methods
    if how.rows is None:
        return tuple(project.outliers(method) for method in methods)
    return tuple(_resized(project, method, how.rows) for method in methods)


def _resized(project: Project, method: str, rows: int) -> Path:
    """Return a store of so many rows by the same parameters: the first rows of any larger one."""
    content = plain_yaml((project.folder / "params.yaml").read_text(encoding="utf-8"))
    content["synthesize"][method]["rows"] = rows
    facts = {"code": code(*SYNTHESIS), "seed": content["synthesize"]["seed"], method: content["synthesize"][method]}
    found = key("train", facts, {"latents": project.latents("id_train")})
    home = project.folder / f".work/rows-{rows}-{found}"
    if not (home / method).is_dir():
        home.mkdir(parents=True, exist_ok=True)
        (home / "params.yaml").write_text(dump_yaml(content), encoding="utf-8")
        denoiser = project.folder / "models/denoiser" / method
        synthesize(
            method,
            project.latents("id_train"),
            denoiser,
            home / method,
            home / "params.yaml",
            batch_rows=BATCH_ROWS,
        )
    return home / method


def _output(project: Project, name: str, seed: int, found: str) -> Path:
    return TRAINED / project.task.name / f"{name}-{seed}-{found}"
