"""Leave the weights of a pretrained encoder out of a bundle, and make the encoder whole again from the hub's files.

The file in `models/encoder` is written by the library that read the hub's files. So the same bytes come of the same
files: they are read and written again, and the digest of what was written is compared.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.detector.bundle import Bundle
from pipeline.detector.bundle_card import ENCODER, LeftOutWeights
from pipeline.networks.encoders import diffusers_autoencoder, vision_backbone
from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder, DiffusersSettings
from pipeline.networks.encoders.encoder import MODEL, read_card
from pipeline.networks.encoders.fetch import fetch_file, fetch_model
from pipeline.networks.encoders.vision_backbone import BackboneSettings, VisionBackbone
from pipeline.networks.fitting import CONFIG
from pipeline.params.encoder import DiffusersParams, EncoderParams, TransformersParams
from pipeline.runtime.errors import BundleError, ModelError, reason
from pipeline.runtime.files import file_digest, folder_digest, folder_files, open_regular, read_description
from pipeline.runtime.manifest import FileSeal
from pipeline.runtime.shortage import as_size, require_memory

INDEX = ".index.json"
COPY = "Set bundle.copy_encoder to true in params.yaml, then run `dvc repro`."


def left_out_weights(encoder: Path, params: EncoderParams) -> LeftOutWeights:
    """Return which weights of an encoder a bundle can leave out, after the encoder was made whole again from the hub.

    Raises BundleError when the result has other bytes, and ModelError when the hub's files cannot be read.
    """
    model = params.chosen
    assert isinstance(model, DiffusersParams | TransformersParams)  # see BundleParams.problems
    if Path(model.source).is_dir():
        found = f"encoder.{params.kind}.source {model.source!r}, which is a folder here"
        raise BundleError(encoder, found, "an id on the hub, since bundle.copy_encoder is false", COPY)
    library = diffusers_autoencoder if isinstance(model, DiffusersParams) else vision_backbone
    weights, patterns = library.WEIGHTS, library.PATTERNS
    subfolder, variant = getattr(model, "subfolder", None), getattr(model, "variant", None)
    folder = fetch_model(model.source, subfolder, model.revision, patterns)
    files = {name: folder / name for name in _weight_files(folder, weights, variant)}
    left_out = LeftOutWeights(
        file=f"{ENCODER}/{MODEL}/{weights}",
        sha256=file_digest(encoder / MODEL / weights),
        repository=model.source,
        commit=str(model.revision),
        subfolder=subfolder,
        variant=variant,
        hub_files={n: FileSeal(bytes=path.stat().st_size, sha256=file_digest(path)) for n, path in files.items()},
    )
    with TemporaryDirectory() as temporary:
        _make_whole(encoder, left_out, files, Path(temporary))
        if folder_digest(Path(temporary) / ENCODER) != folder_digest(encoder):
            found = f"another encoder than {left_out.repository} at {left_out.commit[:12]} gives now"
            raise BundleError(encoder, found, "the same, since bundle.copy_encoder is false", COPY)
    return left_out


@contextmanager
def encoder_folder(bundle: Bundle, *, fetch: bool) -> Iterator[Path]:
    """Yield the folder of a bundle's encoder; if its weights are left out, a temporary one that is whole.

    The weights are read from the hub's cache, and fetched into it if they are not there: without a token, from the hub
    that the environment names, no file longer than bundle.json says. Nothing is written into the bundle.

    Raises BundleError if `fetch` is false, if they cannot be fetched, or are not those that bundle.json promises.
    """
    folder, left_out = bundle.folder / ENCODER, bundle.card.left_out
    if left_out is None:
        yield folder
        return
    where = f"{left_out.repository} on the hub, at commit {left_out.commit[:12]}"
    if not fetch:
        found = f"no weights, which are in {where} ({as_size(left_out.size)})"
        advice = "To fetch them, pass fetch_encoder=True to Detector.load, or --fetch-encoder to `predict`."
        raise BundleError(folder, found, "all of the encoder", advice)
    with TemporaryDirectory() as temporary:
        try:
            require_memory(folder, left_out.size)
            files = {name: _fetched(bundle.folder, left_out, name) for name in left_out.hub_files}
            _make_whole(folder, left_out, files, Path(temporary))
        except BundleError:
            raise
        except Exception as error:  # the files may say anything, and libraries raise anything then
            raise BundleError(folder, reason(error), f"an encoder of the weights in {where}") from error
        whole = Path(temporary) / ENCODER
        if (found := file_digest(Path(temporary) / left_out.file)) != left_out.sha256:
            advice = "Install the library versions of constraints.txt, or take a bundle that holds its encoder."
            raise BundleError(folder, f"weights of SHA-256 {found[:12]}", f"{left_out.sha256[:12]}, as made", advice)
        yield whole


def _fetched(bundle: Path, left_out: LeftOutWeights, name: str) -> Path:
    """Return a file of the hub in the hub's cache, whose bytes were compared with bundle.json."""
    wanted = left_out.hub_files[name]
    path = name if left_out.subfolder is None else f"{left_out.subfolder}/{name}"
    where = f"{left_out.repository}/{path} at {left_out.commit[:12]}"
    try:
        file = fetch_file(left_out.repository, left_out.commit, path, wanted.bytes)
        size, found = file.stat().st_size, file_digest(file) if file.stat().st_size == wanted.bytes else ""
    except Exception as error:  # connection errors come from whichever package the hub's client uses
        advice = (
            f"Run once with a network. Where the hub wants a token, run `hf download {left_out.repository} {path} "
            f"--revision {left_out.commit}` yourself, or make the bundle with bundle.copy_encoder: true."
        )
        raise BundleError(bundle, f"{where} not fetched ({reason(error)})", "a file of the encoder", advice) from error
    if found != wanted.sha256:
        shown = f"SHA-256 {found[:12]}" if found else f"{size:,} bytes"
        promised = wanted.sha256[:12] if found else f"{wanted.bytes:,}"
        advice = f"If your copy is damaged, delete {file} and run again; else the bundle is not what it says."
        raise BundleError(bundle, f"{where} with {shown}", f"{promised}, as bundle.json says", advice)
    return file


def _make_whole(encoder: Path, left_out: LeftOutWeights, files: Mapping[str, Path], target: Path) -> None:
    """Write the whole encoder to `target`/encoder, its weights made from files of the hub, by their names there.

    Only config.json of `encoder` says what the weights are of; it was checked with the bundle.
    """
    given, saved, whole = target / "given", target / "saved", target / ENCODER
    given.mkdir()
    for file in folder_files(encoder):
        copy = whole / file.relative_to(encoder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(file, inside=encoder.parent) as stream:
            copy.write_bytes(stream.read())
    shutil.copyfile(whole / MODEL / CONFIG, given / CONFIG)
    for name, file in files.items():
        (given / name).symlink_to(file.resolve())
        if name.endswith(".json"):
            _require_own_shards(file, files)
    saved.mkdir()
    match read_card(whole).model:
        case DiffusersSettings():
            DiffusersAutoencoder.require_affordable(given)
            DiffusersAutoencoder.load(given, left_out.variant).save(saved)
        case BackboneSettings() as settings:
            VisionBackbone.require_affordable(given)
            VisionBackbone.load(given, settings).save(saved)
        case settings:
            raise ValueError(f"an encoder of kind {settings.kind!r}, whose weights are never left out")
    (saved / Path(left_out.file).name).replace(target / left_out.file)


def _weight_files(folder: Path, weights: str, variant: str | None) -> list[str]:
    """Return the names of the files in which a model's weights are published: one, or shards and their index."""
    single = _of_variant(weights, variant)
    if (folder / single).is_file():
        return [single]
    index = _of_variant(weights + INDEX, variant)
    try:
        return [index, *_shards(folder / index)]
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: no {single} and no {index} that could be read ({reason(error)}).") from error


def _of_variant(name: str, variant: str | None) -> str:
    """Return the name of a file in a variant, as diffusers has it."""
    stem, _, ending = name.rpartition(".")
    return name if variant is None else f"{stem}.{variant}.{ending}"


def _shards(index: Path) -> list[str]:
    content = json.loads(read_description(index, inside=index.parent))
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f"{index.name} has no weight_map of names")
    return sorted(set(names.values()))


def _require_own_shards(index: Path, files: Mapping[str, Path]) -> None:
    """Raise ValueError when an index names a file that is not among `files`, perhaps in another folder."""
    if strange := set(_shards(index)) - files.keys():
        raise ValueError(f"its index names {min(strange)[:100]!r}, which bundle.json does not")
