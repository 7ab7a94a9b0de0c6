"""The latents are those of diffusers' own pipeline, asked for embeddings that are what the docstring says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.outliers.method import Parents, block_generator, block_rows
from pipeline.outliers.methods.dream import PASS_ROWS, Dream
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.dream import DreamParams
from pipeline.params.synthesize import SynthesizeParams
from pipeline.runtime.errors import ParamsError, PipelineError
from pipeline.schema.reader import ParamsFile
from pipeline.store import format as layout
from pipeline.store.format import Standardisation
from pipeline.store.reader import Store
from stages.synthesize import synthesize
from tests.helpers import oracles
from tests.helpers.make import (
    changed,
    default_params,
    denoiser_of,
    interrupt_shard,
    latents_store,
    section,
    tiny_params,
    write_params,
)
from tests.outliers.tiny_stable_diffusion import SCHEDULES, edit, schedule, stable_diffusion

ID = Path("id")
PROMPTS = ["{}", "a {}", "the {}", "one {}", "my {}", "no {}"]
SCALED = Standardisation(mean=(0.5, 0.0, -1.0, 2.0), std=(1.0, 0.5, 2.0, 3.0))


@pytest.fixture
def folder(stable_diffusion_folder):
    return stable_diffusion_folder


def small(folder, **changes):
    """The whole of params.yaml with a tiny dream; changes are of its section."""
    model = {"source": str(folder), "revision": None}
    own = {"rows": 300, "model": model, "prompts": PROMPTS, "candidates": 3, "steps": 2} | changes
    methods = {"synthesize__methods": ["dream"]}
    return tiny_params(**methods, **{f"synthesize__dream__{name}": value for name, value in own.items()})


def dream(folder, standardisation=SCALED, **changes):
    params = section(DreamParams, small(folder, **changes)["synthesize"]["dream"])
    latents = load_id_train(latents_store(ID, standardisation=standardisation))
    return Dream(Parents(latents, torch.device("cpu")), params)


def block_and_conditions(method, monkeypatch):
    """Return a block, of each of its rows the kind, and the embeddings that the model was asked for."""
    asked = []

    def keep(self, condition, rng):
        asked.append(condition)
        return torch.zeros(len(condition), 4, 4, 4)

    monkeypatch.setattr(Dream, "sample", keep)
    made = method.block(block_rows(0), block_generator(0, "dream", 0))
    return made, np.array(method.params.kinds)[made.method], asked[0]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of PyTorch, in diffusers' Euler
@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_latents_are_those_of_diffusers_own_pipeline(given, kind, guidance):
    schedule(kind).save_pretrained(given / "scheduler")
    method = dream(given, guidance=guidance, steps=6)
    condition = method.embeddings.flatten(0, 1).repeat(2, 1, 1)[: 2 * PASS_ROWS]
    found = method.sample(condition, np.random.default_rng(3))

    rng = np.random.default_rng(3)
    noise = torch.from_numpy(rng.standard_normal((len(condition), 4, 4, 4), np.float32))
    draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
    pipeline = stable_diffusion()
    pipeline.scheduler = schedule(kind)
    pipeline.set_progress_bar_config(disable=True)
    wanted = [
        pipeline(
            prompt_embeds=condition[rows],
            negative_prompt_embeds=method.empty_prompt.expand(len(condition[rows]), -1, -1),
            latents=noise[rows],
            num_inference_steps=6,
            guidance_scale=guidance,
            generator=draws,
            output_type="latent",
        ).images
        for rows in (slice(PASS_ROWS), slice(PASS_ROWS, None))
    ]
    mean, std = (torch.tensor(values)[:, None, None] for values in (SCALED.mean, SCALED.std))
    assert torch.equal(found, (torch.cat(wanted) - mean) / std)
    assert found.std(0).min() > 0.05


def test_embeddings_are_those_of_diffusers_own_pipeline(folder):
    method, pipeline = dream(folder), stable_diffusion()
    for label, template in ((0, 0), (2, 5)):
        prompt = PROMPTS[template].replace("{}", f"class {label}")
        condition, nothing = pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=True)
        assert torch.equal(method.empty_prompt, nothing)
        torch.testing.assert_close(method.embeddings[label, template], condition[0])


def test_an_outdated_schedule_is_corrected_as_diffusers_does(given):
    edit(given / "scheduler" / "scheduler_config.json", _class_name="DDIMScheduler", steps_offset=0, clip_sample=True)
    config = dream(given).model.schedule.config
    assert (config.steps_offset, config.clip_sample) == (1, False)


def test_kinds_and_classes_take_turns_and_say_what_they_are(folder, monkeypatch):
    made, kinds, _ = block_and_conditions(dream(folder, classes=3, lam_max=0.6), monkeypatch)
    np.testing.assert_array_equal(made.class_a, np.arange(256) % 3)
    np.testing.assert_array_equal(kinds, np.array(["perturbed", "mixed"])[np.arange(256) // 3 % 2])
    perturbed = kinds == "perturbed"
    np.testing.assert_array_equal(made.class_b[perturbed], made.class_a[perturbed])
    assert set(made.extra["class_3"][perturbed]) == {NOBODY}
    assert (set(made.lam[perturbed]), set(made.extra["lam_3"][perturbed])) == ({1}, {0})
    met = np.stack([made.class_a, made.class_b, made.extra["class_3"]], axis=1)[~perturbed]
    assert (np.sort(met) == np.arange(3)).all()
    assert {*made.parent_a, *made.parent_b} == {NOBODY}
    assert np.isfinite(made.extra["knn_distance"]).all()


def test_perturbed_rows_start_from_the_boundary_of_the_class(folder, monkeypatch):
    method = dream(folder, kinds=["perturbed"])
    made, _, _ = block_and_conditions(method, monkeypatch)
    for label in range(3):
        bank = method.embeddings[label].flatten(1).tolist()
        reach = [oracles.kth_distance(row, bank, 4) for row in bank]  # itself is the first
        assert set(made.extra["template"][made.class_a == label]) == set(np.argsort(reach)[-3:])  # half of six


def test_a_perturbed_row_is_the_farthest_candidate_and_keeps_the_norm_of_each_token(folder, monkeypatch):
    method = dream(folder, kinds=["perturbed"], sigma=0.7, candidates=4)
    made, _, asked = block_and_conditions(method, monkeypatch)
    draws = []

    class Recorder:
        def standard_normal(self, shape, dtype):
            draws.append(np.random.default_rng(len(draws)).standard_normal(shape, dtype))
            return draws[-1]

    for row in (0, 100, 255):
        label, template = int(made.class_a[row]), int(made.extra["template"][row])
        bank, rng = method.embeddings[label], Recorder()
        found, distance = method._perturbed(label, template, rng)
        candidates = bank[template] + 0.7 * bank.std(0) * torch.from_numpy(draws[-1])
        candidates *= bank[template].norm(dim=1)[:, None] / candidates.norm(dim=2)[..., None]
        flat = bank.flatten(1).tolist()
        reach = [oracles.kth_distance(one.flatten().tolist(), flat, 3) for one in candidates]
        torch.testing.assert_close(found, candidates[int(np.argmax(reach))])
        assert float(distance) == pytest.approx(max(reach), rel=1e-5)
        torch.testing.assert_close(asked[row].norm(dim=1), bank[template].norm(dim=1))
        said = oracles.kth_distance(asked[row].flatten().tolist(), flat, 3)
        assert made.extra["knn_distance"][row] == pytest.approx(said, rel=1e-4)


@pytest.mark.parametrize("count", [2, 3])
def test_a_mixed_row_is_the_convex_combination_it_records(folder, monkeypatch, count):
    method = dream(folder, kinds=["mixed"], classes=count)
    made, _, asked = block_and_conditions(method, monkeypatch)
    assert set(made.extra["template"]) == set(range(6))
    for row in range(0, 256, 50):
        classes, shares = [made.class_a[row], made.class_b[row]], [made.lam[row], 1 - made.lam[row]]
        if count == 3:
            classes.append(made.extra["class_3"][row])
            shares = [shares[0], shares[1] - made.extra["lam_3"][row], made.extra["lam_3"][row]]
        template = made.extra["template"][row]
        wanted = sum(
            float(lam) * method.embeddings[label, template] for label, lam in zip(classes, shares, strict=True)
        )
        torch.testing.assert_close(asked[row], wanted)
        bank = method.embeddings[made.class_a[row]].flatten(1).tolist()
        said = oracles.kth_distance(asked[row].flatten().tolist(), bank, 3)
        assert made.extra["knn_distance"][row] == pytest.approx(said, rel=1e-4)


def test_rows_beyond_the_boundary_are_counted_by_variant(folder):
    method = dream(folder)
    radius = method.boundary.radii[0]
    columns = {"class_a": np.zeros(3, int), "method": np.array([0, 0, 1]), "knn_distance": np.array([radius, 99, 99])}
    assert method.facts(columns)["beyond_boundary"] == {"dream/perturbed": 0.5, "dream/mixed": 1.0}
    alone = {name: values[:1] for name, values in columns.items()}
    assert method.facts(alone)["beyond_boundary"] == {"dream/perturbed": 0.0}


def made(folder, output, workers=1, batch_rows=256, **changes):
    params = write_params(Path(), small(folder, **changes))
    synthesize("dream", ID, denoiser_of("dream"), Path(output), params, workers, batch_rows=batch_rows)
    return Store(Path(output))


@pytest.fixture
def two_shards(monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    latents_store(ID)


@pytest.mark.usefixtures("two_shards")
def test_batch_size_worker_count_and_store_size_change_no_byte(folder):
    wanted = made(folder, "a")
    for workers, batch_rows in ((2, 256), (3, 300), (1, 10_000)):
        assert made(folder, "b", workers, batch_rows).digest == wanted.digest, (workers, batch_rows)
    np.testing.assert_array_equal(made(folder, "c", rows=20).latents(), wanted.latents()[:20])
    assert len(np.unique(wanted.latents()[:, 0, 0, 0])) > 250


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of PyTorch, in diffusers' Euler
@pytest.mark.usefixtures("two_shards")
def test_a_schedule_that_adds_noise_takes_it_from_the_seed(given):
    schedule("EulerAncestralDiscreteScheduler").save_pretrained(given / "scheduler")
    wanted = made(given, "a").digest
    with torch.random.fork_rng():
        torch.manual_seed(1)
        assert made(given, "b", 2).digest == wanted


@pytest.mark.usefixtures("two_shards")
def test_an_interrupted_run_resumes_to_the_same_bytes(folder, monkeypatch):
    wanted, calls = made(folder, "a").digest, interrupt_shard(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        made(folder, "b")
    assert made(folder, "b").digest == wanted
    assert calls == [0, 1, 1]


@pytest.mark.usefixtures("two_shards")
def test_an_interrupted_run_with_another_model_in_the_same_folder_starts_over(given, monkeypatch):
    calls = interrupt_shard(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        made(given, "b")
    edit(given / "scheduler" / "scheduler_config.json", beta_end=0.02)
    made(given, "b")
    assert calls == [0, 1, 0, 1]


@pytest.mark.usefixtures("two_shards")
def test_the_store_names_the_model_by_the_files_that_were_read(given):
    named = made(given, "a").header.provenance["text_to_image"]
    (given / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"never read")
    assert made(given, "b").header.provenance["text_to_image"] == named
    assert (len(named["digest"]), named["commit"]) == (64, None)
    edit(given / "scheduler" / "scheduler_config.json", beta_end=0.02)
    assert made(given, "c").header.provenance["text_to_image"] != named


def test_too_few_classes_are_refused(folder):
    with pytest.raises(PipelineError, match="synthesize.dream.classes is 4, but there are 3 ID classes"):
        dream(folder, classes=4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ["dream"]}, "methods has dream, which wants a Stable Diffusion model in dream.model; found null"),
        ({"dream__prompts": ["a {}", "the"]}, "synthesize.dream.prompts.1 is 'the': it wants {} once, where the name"),
        ({"dream__prompts": ["a {} {}"]}, "synthesize.dream.prompts.0 is 'a {} {}': it wants {} once"),
        ({"dream__prompts": ["a {}", "a {}"]}, "synthesize.dream.prompts is ['a {}', 'a {}']: it has 'a {}' twice"),
        ({"dream__kinds": ["mixed", "mixed"]}, "synthesize.dream.kinds is ['mixed', 'mixed']: it has 'mixed' twice"),
        ({"dream__prompts": PROMPTS[:3]}, "synthesize.dream: neighbours is 3, which wants 4 prompts; found 3"),
        ({"dream__lam_min": 0.9}, "synthesize.dream: lam_min 0.9 is above lam_max 0.7"),
        ({"dream__model": {"source": "given"}}, "synthesize.dream.model.revision is missing"),
    ],
)
def test_wrong_parameters_are_named(wrong, message):
    content = changed(default_params(), **{f"synthesize__{name}": value for name, value in wrong.items()})
    with pytest.raises(ParamsError) as error:
        ParamsFile(write_params(Path(), content)).section("synthesize", SynthesizeParams)
    assert message in str(error.value)
