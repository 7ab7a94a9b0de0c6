"""Throw broken inputs at everything that reads files of strangers: images, params.yaml, bundles.

Run `python -m benchmarks.fuzz --inputs N`, 100,000 by default, a few minutes. Every input is a good one with bytes
flipped, cut, repeated or spliced, or a valid structure with values replaced. A reader has to accept it or raise its own
error. Anything else counts as a failure, and so does an input that takes over `SECONDS`, and one that makes
Python start a process, compile code or unpickle. Prints the counts; writes `benchmarks/results/fuzz.json`; exit code 1
when there was a failure, with the first ones.
"""

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import numpy as np
import typer
from PIL import Image

from benchmarks.bench import hardware
from pipeline.detector.bundle import read_bundle
from pipeline.detector.bundle_card import BUNDLE, BUNDLE_FORMAT
from pipeline.images.decode import decode, quiet
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.params.all_params import AllParams, load_all
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, json_bytes, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.schema.reader import validate
from pipeline.schema.text import dump_yaml, plain_yaml

RESULTS = Path("benchmarks/results/fuzz.json")
SECONDS = 20
LARGEST_PIXELS = 1_000_000
FORBIDDEN = ("os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen", "pickle.find_class", "exec")
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, -0.0, "", "\0", "../../etc/passwd", "é" * 300, "!!python/object", [], {},
    [[]], {"": None}, [1] * 1000,
)  # fmt: skip
TOKENS = (
    b"\0",
    b"\xff" * 8,
    b"{",
    b"[" * 5000,
    b"\nseeds: " + b"[" * 3000,
    b"}",
    b": ",
    b"&a *a",
    b"!!python/object/apply:os.system",
    b"1e999",
    b"-",
)
Random = np.random.Generator


class Reader(NamedTuple):
    """Something that reads: how an input for it is made, how it is read, and what it may raise."""

    name: str
    made: Callable[[Random], Any]
    read: Callable[[Any], object]
    expected: tuple[type[Exception], ...]
    share: float


class HangError(Exception):
    """An input took longer than it may."""


def main(inputs: int = 100_000, seed: int = 0) -> None:
    """Fuzz every reader with its share of the inputs."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = [fuzz(reader, round(reader.share * inputs), seed) for reader in readers(Path(folder))]
    report = {
        "hardware": hardware(),
        "commit": git_revision(),
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "readers": {name: dict(sorted(counts.items())) for name, counts, _ in found},
    }
    write_json(RESULTS, report)
    for name, counts, failures in found:
        typer.echo(
            f"{name}: {sum(counts.values()):,} inputs, " + ", ".join(f"{n:,} {what}" for what, n in counts.items())
        )
        for failure in failures[:5]:
            typer.echo(f"  {failure}", err=True)
    if any(failures for _, _, failures in found):
        raise typer.Exit(1)


def fuzz(reader: Reader, inputs: int, seed: int) -> tuple[str, Counter[str], list[str]]:
    """Return how many inputs were read, refused and failed, and a line on each failure."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    rng = np.random.default_rng(seed)
    with progress(f"fuzzing {reader.name}", inputs) as advance, watched() as forbidden, quiet():
        for number in range(inputs):
            content = reader.made(rng)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                reader.read(content)
                counts["read"] += 1
            except reader.expected:
                counts["refused"] += 1
            except (Exception, HangError) as error:  # noqa: BLE001  # what this looks for
                failures.append(f"input {number}: {type(error).__name__}: {str(error)[:150]}")
                counts["failed"] += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            advance(1)
        failures += [f"an input led to {event}" for event in forbidden]
    return reader.name, counts, failures


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield a list of what Python did meanwhile that no reader of data may do; stop what takes too long."""
    seen: list[str] = []
    active = True

    def audit(event: str, _: tuple[Any, ...]) -> None:
        if active and event in FORBIDDEN and not _importing():
            seen.append(event)

    def stop(_: int, __: FrameType | None) -> NoReturn:
        raise HangError(f"over {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    sys.addaudithook(audit)  # cannot be removed, only silenced
    try:
        yield seen
    finally:
        active = False
        signal.signal(signal.SIGALRM, before)


def _importing() -> bool:
    """Return whether a module is being imported now, whose own code is executed."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # the documented way to look at callers
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def readers(folder: Path) -> list[Reader]:
    """Return the readers; files of bundles and parameters are written below `folder`."""
    images, params = _images(), plain_yaml(Path("params.yaml").read_text(encoding="utf-8"))
    text = dump_yaml(params).encode()
    card = _bundle_card()
    file = folder / "params.yaml"

    def read_params(content: bytes) -> object:
        file.write_bytes(content)
        return load_all(file)

    def read_card(content: bytes) -> object:
        (folder / BUNDLE).write_bytes(content)
        return read_bundle(folder)

    pictures, ours = (NoPictureError,), (PipelineError,)
    return [
        Reader("image reader", lambda rng: mutated(rng, images[rng.integers(len(images))]), _read_image, pictures, 0.5),
        Reader("params.yaml as bytes", lambda rng: mutated(rng, _excerpt(rng, text)), read_params, ours, 0.1),
        Reader("params.yaml by values", lambda rng: replaced(rng, params), _validated, ours, 0.15),
        Reader("bundle.json as bytes", lambda rng: mutated(rng, _sealed(card)), read_card, ours, 0.1),
        Reader("bundle.json by values", lambda rng: _sealed(replaced(rng, card)), read_card, ours, 0.15),
    ]


def mutated(rng: Random, content: bytes) -> bytes:
    """Return bytes with one to four places broken."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place, other = (int(rng.integers(len(found) + 1)) for _ in range(2))
        start, end = sorted((place, other))
        match int(rng.integers(6)):
            case 0:
                found[place : place + 1] = bytes([int(rng.integers(256))])
            case 1 if found and place < len(found):
                found[place] ^= 1 << int(rng.integers(8))
            case 2:
                del found[start : min(end, start + 200)]
            case 3:
                found[place:place] = found[start : min(end, start + 200)]
            case 4:
                found[place:place] = TOKENS[rng.integers(len(TOKENS))]
            case _:
                del found[place:]
    return bytes(found)


def replaced(rng: Random, content: dict[str, Any]) -> dict[str, Any]:
    """Return a structure with one to three values replaced by odd ones, or keys renamed."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    for _ in range(rng.integers(1, 4)):
        here: Any = found
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = keys[rng.integers(len(keys))]
            if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.85:
                here = here[key]
                continue
            if isinstance(here, dict) and rng.random() < 0.2:
                here[f"{key}x"] = here.pop(key)
            else:
                here[key] = deepcopy(ODD[rng.integers(len(ODD))])
            break
    return found


def _images() -> list[bytes]:
    """Return a small picture in every format that is read, and in several kinds of pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    kinds = {"PNG": "RGB RGBA P I;16", "JPEG": "RGB L CMYK", "WEBP": "RGB", "BMP": "RGB", "GIF": "P", "TIFF": "RGB 1"}
    found = []
    for name, modes in kinds.items():
        for mode in modes.split():
            file = BytesIO()
            deep = mode == "I;16"
            one = Image.fromarray(pixels[..., 0].astype(np.uint16)) if deep else Image.fromarray(pixels).convert(mode)
            one.save(file, name)
            found.append(file.getvalue())
    return found


def _read_image(content: bytes) -> object:
    return decode(BytesIO(content), LARGEST_PIXELS)


def _validated(content: dict[str, Any]) -> object:
    return validate(Path("params.yaml"), AllParams, content)


def _excerpt(rng: Random, text: bytes) -> bytes:
    """Return some lines of the parameter file: parsing all of it takes most of the time."""
    lines = text.splitlines(keepends=True)
    start = int(rng.integers(len(lines)))
    return b"".join(lines[start : start + 20])


def _sealed(content: dict[str, Any]) -> bytes:
    """Return bundle.json with a digest that is right, as somebody who means harm would."""
    return json_bytes(content | {"digest": digest(json_bytes(content))})


def _bundle_card() -> dict[str, Any]:
    space = {"autoencoder": "a" * 64, "scaling_factor": 1.0, "image_size": 32, "shape": [4, 4, 4]}
    entry = {"dtype": "float32", "shape": [8, 64]}
    return {
        "format": BUNDLE_FORMAT,
        "network": {
            "format": "latent-outliers-network/2",
            "role": "detector",
            "seed": 0,
            "network": {"width": 8, "blocks": [1, 1]},
            "head": {"kind": "linear"},
            "space": space,
            "standardisation": {"mean": [0.0] * 4, "std": [1.0] * 4},
            "class_names": ["a", "b", "c"],
        },
        "decision": {
            "format": "latent-outliers-decision/1",
            "seed": 0,
            "weights": "b" * 64,
            "score": "knn",
            "threshold": 1.0,
            "id_rejection_target": 0.05,
            "id_rejection_validation": 0.04,
            "validation_images": 100,
        },
        "infer": {
            "knn_neighbours": 3,
            "gen": {"gamma": 0.1, "classes": None},
            "mahalanobis_pp_shrinkage": 0.5,
            "vim_principal": 0.5,
            "combined": {"images_per_class": 100, "neighbours": 3, "gen_weight": 0.5},
        },
        "id_train": "c" * 64,
        "files": {"network.safetensors": "d" * 64, "scorer.safetensors": "e" * 64, "encoder/encoder.json": "f" * 64},
        "tensors": {"network.safetensors": {"head.weight": entry}, "scorer.safetensors": {"bank": entry}},
    }


if __name__ == "__main__":
    typer.run(main)
