"""Small real things to test with: stores, parameters, networks."""

import copy
from pathlib import Path

import numpy as np
import torch

from pipeline.images.image_set import from_8_bits, resized
from pipeline.latents.view_rows import write_card
from pipeline.networks.denoiser import DenoiserCard, noise_schedule, save_denoiser, untrained
from pipeline.networks.saved_network import NetworkCard
from pipeline.params.denoiser import DenoiserParams
from pipeline.params.infer import SCORES
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.runtime.files import write_json
from pipeline.schema.reader import validate
from pipeline.schema.text import dump_yaml, plain_yaml
from pipeline.store.format import LatentSpace, Standardisation
from pipeline.store.writer import StoreWriter

ROOT = Path(__file__).parents[2]
SPACE = LatentSpace(encoder="abc", scaling_factor=0.5, image_size=32, shape=(4, 4, 4))
UNIT = Standardisation(mean=(0.0,) * 4, std=(1.0,) * 4)


def default_params():
    return plain_yaml((ROOT / "params.yaml").read_text())


def changed(content, **changes):
    """Return a copy of nested dicts with dotted keys set, `__` standing for the dot."""
    content = copy.deepcopy(content)
    for key, value in changes.items():
        *steps, last = key.split("__")
        here = content
        for step in steps:
            here = here[step]
        here[last] = value
    return content


def tiny_params(**changes):
    """The default with everything as small as it goes, and every method that is made in no time."""
    small = changed(
        default_params(),
        seeds=[0, 1],
        synthesize__methods=["perturb", "mixup", "shuffle"],
        encoder__trained__epochs=1,
        data__sources__photographs__images=40,
        data__sources__noise__images=40,
        teacher__network={"width": 8, "blocks": [1], "latent_mean": False},
        teacher__optimiser__epochs=2,
        train__optimiser__epochs=2,
        denoiser__channels=[8, 16],
        denoiser__epochs=2,
        synthesize__label_mixup__rows=300,
        synthesize__label_mixup__steps=4,
        synthesize__gaussian__rows=300,
        synthesize__copies__rows=300,
        quality__rows=300,
        synthesize__perturb__rows=300,
        synthesize__mixup__rows=300,
        synthesize__shuffle__rows=300,
        score__bootstrap__replicates=100,
    )
    return changed(small, **changes)


PARQUET_SETS = {
    "id_train": {"group": "id", "source": "animals", "part": "train"},
    "id_validation": {"group": "id", "source": "animals", "part": "validation"},
    "id_test": {"group": "id", "source": "animals", "part": "test"},
    "held_out": {"group": "near", "source": "animals", "part": "held_out"},
    "plants": {"group": "far", "source": "plants", "part": "all"},
}


def parquet_data(folder):
    """The `data` section over train.parquet, test.parquet and plants.parquet of a folder, without any limit."""
    animals = {
        "kind": "parquet",
        "train": f"{folder}/train.parquet",
        "test": f"{folder}/test.parquet",
        "image": "image",
        "label": "label",
        "class_names": ["ant", "bee", "cow", "dog"],
        "held_out": ["bee"],
        "validation": 0.2,
        "limits": {"train": None, "validation": None, "test": None, "held_out": None},
        "seed": 0,
    }
    plants = {"kind": "parquet_images", "file": f"{folder}/plants.parquet", "image": "image", "images": None, "seed": 0}
    return {"image_size": 32, "sources": {"animals": animals, "plants": plants}, "sets": PARQUET_SETS}


def section(model, content):
    """Return a part of params.yaml as its model, through the strict reader."""
    return validate(Path("params.yaml"), model, content)


def pixels(image, size):
    """Return an image as (3, size, size) in -1..1."""
    return from_8_bits(resized(image, size).transpose(2, 0, 1))


def pixel_batch(images, indices, size):
    """Return the images of `indices` as (n, 3, size, size) in -1..1."""
    return np.stack([pixels(images.read(index), size) for index in indices])


def write_params(folder, content):
    path = folder / "params.yaml"
    path.write_text(dump_yaml(content))
    return path


def network_card(role):
    """Return the card of the smallest network for the latents of `latents_store`."""
    return NetworkCard(
        role=role,
        seed=0,
        network=NetworkParams(width=8, blocks=(1,), latent_mean=False),
        head=LinearParams(kind="linear"),
        space=SPACE,
        standardisation=UNIT,
        class_names=("class 0", "class 1", "class 2"),
    )


def latents_store(folder, *, per_class=30, classes=3, seed=0, space=SPACE, standardisation=UNIT, content=None):
    """Write a store of latents whose classes are apart; rows are in order of class.

    content: hash of each row's image; by default all are different, and those of another seed too.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class).astype(np.int32)
    centres = 2 * rng.standard_normal((classes, *space.shape))
    values = (centres[labels] + rng.standard_normal((len(labels), *space.shape))).astype(np.float16)
    names = tuple(f"class {index}" for index in range(classes))
    content = np.arange(len(labels)) + 10**6 * seed if content is None else np.asarray(content)
    columns = {"label": labels, "content": content.astype(np.int64)}
    return write_store(folder, values, columns, "latents", names, space, standardisation)


def views_store(folder, id_train, count, seed=2):
    """Write random views of latents, as stage `views` leaves them."""
    rows = count * len(id_train.labels)
    values = np.random.default_rng(seed).standard_normal((rows, *id_train.values.shape[1:])).astype(np.float16)
    columns = {"label": np.repeat(id_train.labels, count), "content": np.arange(rows)}
    header, settings = id_train.header, default_params()["views"] | {"count": count, "seed": seed}
    space, standardisation = header.space, header.standardisation
    names = header.class_names
    write_store(folder / "store", values, columns, "latents", names, space, standardisation, views=settings)
    write_card(folder, count)
    return folder


def denoiser_of(method):
    """Return the folder that stage `denoiser` makes for a method, for `latents_store`s of three classes, made once."""
    folder = Path("models/denoiser") / method
    if method == "label_mixup" and not folder.is_dir():
        torch.manual_seed(0)
        params = section(DenoiserParams, tiny_params()["denoiser"])
        names = tuple(f"class {index}" for index in range(3))
        card = DenoiserCard(space=SPACE, standardisation=UNIT, class_names=names, class_dropout=0.1)
        save_denoiser(folder, untrained(SPACE, 3, params), noise_schedule(params.noise_levels), card)
    elif method != "label_mixup":
        write_json(folder / "none.json", {"needed": False})
    return folder


def outliers_store(
    folder, *, rows=40, classes=3, seed=1, space=SPACE, standardisation=UNIT, latents="abc", views=None, **columns
):
    """Write a store of outliers; columns: in place of, or beside, those of every row. views: that parents are of."""
    values = np.random.default_rng(seed).standard_normal((rows, *space.shape)).astype(np.float16)
    names = tuple(f"class {index}" for index in range(classes))
    usual = {
        "class_a": (np.arange(rows) % classes).astype(np.int32),
        "class_b": (np.arange(rows) // classes % classes).astype(np.int32),
        "parent_a": np.full(rows, -1, np.int32),
        "parent_b": np.full(rows, -1, np.int32),
        "lam": np.linspace(0, 1, rows, dtype=np.float32),
    }
    like = {"class": np.int32, "parent": np.int32, "view": np.int32, "lam": np.float32, "method": np.uint8}
    given = {name: values.astype(like[name.split("_")[0]]) for name, values in columns.items()}
    made_from = {} if views is None else {"views": views}
    return write_store(folder, values, usual | given, "outliers", names, space, standardisation, latents, **made_from)


def write_store(folder, values, columns, kind, names, space=SPACE, standardisation=UNIT, latents="abc", **provenance):
    folder.mkdir(parents=True, exist_ok=True)
    writer = StoreWriter(folder, len(values), space.shape, {name: col.dtype for name, col in columns.items()})
    for shard, rows in enumerate(writer.shards):
        part = slice(rows.start, rows.stop)
        writer.write_shard(shard, values[part], {name: col[part] for name, col in columns.items()})
    writer.finish(
        kind=kind,
        space=space,
        standardisation=standardisation,
        class_names=names,
        provenance={"seed": 0, "latents": latents, **provenance},
    )
    return folder


def interrupt_shard(monkeypatch, number):
    """Make the writing of the `number`th shard from now fail like Ctrl-C; return the list of shards asked for."""
    write, calls = StoreWriter.write_shard, []

    def write_or_fail(self, shard, *rows):
        calls.append(shard)
        if len(calls) == number:
            raise KeyboardInterrupt
        write(self, shard, *rows)

    monkeypatch.setattr(StoreWriter, "write_shard", write_or_fail)
    return calls


def score_table(shifts, gain=0.0, seeds=(0, 1, 2), images=60, rng_seed=0):
    """Return a table of normal scores; `shifts` moves those of a set up, and `gain` the detector's of OOD sets."""
    rng = np.random.default_rng(rng_seed)
    shifts = {"id_validation": 0.0, "id_test": 0.0, "probe/reencoded": 0.0, "probe/jpeg": 0.0} | shifts
    sizes, both = (len(seeds), images), [(side, name) for side in SIDES for name in shifts]
    known = [name for name in shifts if name.startswith(("id_", "probe/"))]
    return ScoreTable(
        seeds=tuple(seeds),
        class_names=("a", "b", "c"),
        weights={seed: f"weights of {seed}" for seed in seeds},
        labels={
            name: (np.arange(images) % 3 if name in known else np.full(images, -1)).astype(np.int32) for name in shifts
        },
        contents={name: np.arange(images) + 1000 * place for place, name in enumerate(shifts)},
        scores={
            (side, name, score): rng.standard_normal(sizes)
            + shifts[name]
            + (gain if side == "detector" and name not in known else 0.0)
            for side, name in both
            for score in SCORES
        },
        predicted={one: rng.integers(0, 3, sizes).astype(np.int32) for one in both},
    )
