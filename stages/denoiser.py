"""Stage `denoiser@<method>`: ID latents to the diffusion model that the method samples from, if it needs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.params.denoiser import DenoiserParams


def denoiser(method: str, latents: Path, output: Path, curve: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Train a denoiser on the store LATENTS for METHOD, to OUTPUT; show epochs in CURVE.

    For a method that needs none, OUTPUT only says so. Of a killed run the last checkpoint is kept.
    """
    from pipeline.params.denoiser import DenoiserParams
    from pipeline.params.methods.section import method_params_class
    from pipeline.runtime.files import write_json
    from pipeline.runtime.manifest import seal
    from pipeline.runtime.run_log import timed_run
    from pipeline.schema.reader import ParamsFile

    settings = ParamsFile(params).section("denoiser", DenoiserParams)
    if method_params_class(params, method).needs_denoiser:
        _train(latents, output, curve, settings)
        return
    with timed_run(output, ""):
        write_json(output / "none.json", {"needed": False})
        seal(output)
        curve.parent.mkdir(parents=True, exist_ok=True)
        curve.write_text("epoch,learning_rate,loss\n", encoding="utf-8")


def _train(latents_folder: Path, output: Path, curve: Path, settings: DenoiserParams) -> None:
    import torch

    from pipeline.latents.latents import load_id_train
    from pipeline.networks.denoiser import DenoiserCard, noise_schedule, save_denoiser, untrained
    from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch, seeded
    from pipeline.runtime.progress import progress
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.training.curve import Curve
    from pipeline.training.denoiser import CHECKPOINT, train_denoiser

    prepare_torch(STAGE_THREADS)
    latents, device = load_id_train(latents_folder), chosen_device()
    header = latents.header
    with publish_when_done(output, {"denoiser": settings.model_dump(mode="json")}, [latents_folder]) as work:
        with seeded(settings.seed, device):
            model = untrained(header.space, len(header.class_names), settings).to(device)
        labels = torch.from_numpy(latents.labels).long().to(device)
        with progress("training the denoiser, epochs", settings.epochs) as advance:
            epochs = Curve(curve)
            values, on_epoch = latents.values.to(device), lambda history: advance(epochs.show(history))
            train_denoiser(model, values, labels, settings, work, on_epoch)
        card = DenoiserCard(
            space=header.space,
            standardisation=header.standardisation,
            class_names=header.class_names,
            class_dropout=settings.class_dropout,
        )
        save_denoiser(work, model.cpu(), noise_schedule(settings.noise_levels), card)
        (work / CHECKPOINT).unlink(missing_ok=True)


if __name__ == "__main__":
    run(denoiser)
