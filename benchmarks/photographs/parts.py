"""Parts of the result: one file for each folder of photographs, contestant and seed, kept as long as it is valid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import hardware
from benchmarks.photographs.folders import Photographs
from benchmarks.photographs.judging import Json
from benchmarks.photographs.project import as_ints, images_digest
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import json_bytes, read_json, write_json
from pipeline.runtime.run_log import git_revision

FORMAT = "latent-outliers-photographs/1"
RESULTS = Path("benchmarks/results/photographs")
IMAGES = "images"


@dataclass(frozen=True)
class Parts:
    """The parts of one folder of photographs."""

    folder: Path

    @classmethod
    def of(cls, photographs: Photographs) -> "Parts":
        """Return those of a folder: results are in the repository, what settings are chosen on is not."""
        return cls(photographs.folder / "parts" if photographs.development else RESULTS / photographs.name)

    def file(self, contestant: str, seed: int) -> Path:
        """Return where a part is."""
        return self.folder / f"{contestant}-{seed}.json"

    def has(self, contestant: str, seed: int, settings: Json) -> bool:
        """Return whether a part is there that follows from these settings."""
        file = self.file(contestant, seed)
        return file.is_file() and json_bytes(self.read(contestant, seed)["settings"]) == json_bytes(settings)

    def read(self, contestant: str, seed: int) -> Json:
        """Return a part; raises PipelineError where it is missing, damaged or of another format."""
        return _checked(self.file(contestant, seed), ("settings", "costs", "commit", "hardware"))

    def write(self, contestant: str, seed: int, settings: Json, costs: Mapping[str, Any], found: Json) -> None:
        """Write a part; its name appears when it is complete."""
        facts = {"format": FORMAT, "contestant": contestant, "seed": seed, "settings": settings, "costs": dict(costs)}
        origin = {"commit": git_revision(), "hardware": hardware()}
        write_json(self.file(contestant, seed), facts | origin | found)

    def seeds(self, contestant: str) -> list[int]:
        """Return the seeds of which there are parts."""
        return sorted(
            int(file.stem.removeprefix(f"{contestant}-")) for file in self.folder.glob(f"{contestant}-*.json")
        )

    def write_images(self, photographs: Photographs, contents: Mapping[str, NDArray[np.int64]]) -> None:
        """Write which images there are: each has a number, the same wherever it is, in place of its content hash."""
        every = np.unique(np.concatenate([*contents.values()]))
        content = {
            "format": FORMAT,
            "drawn": photographs.specification(),
            "digest": images_digest(contents),
            "numbers": {name: as_ints(np.searchsorted(every, images)) for name, images in contents.items()},
        }
        if json_bytes(content) != _bytes(self.folder / f"{IMAGES}.json"):
            write_json(self.folder / f"{IMAGES}.json", content)

    def read_images(self) -> Json:
        """Return what `write_images` wrote, the numbers of each set as an array."""
        content = _checked(self.folder / f"{IMAGES}.json", ("digest", "numbers", "drawn"))
        numbers = {name: np.array(text.split(), np.int64) for name, text in content["numbers"].items()}
        return content | {"numbers": numbers}


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _checked(file: Path, wanted: tuple[str, ...]) -> Json:
    advice = "Delete it, and run the command again, which computes it anew."
    try:
        content: Json = read_json(file)
        if content["format"] == FORMAT and all(name in content for name in wanted):
            return content
    except FileNotFoundError as error:
        raise PipelineError(f"{file}: not found; run `python -m benchmarks.photographs`.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{file}: found no part ({error}), wanted JSON of {FORMAT}. {advice}") from error
    raise PipelineError(f"{file}: found another format, wanted {FORMAT} with {', '.join(wanted)}. {advice}")
