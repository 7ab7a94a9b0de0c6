"""Run the stage: from the ID training latents to `models/denoiser/`."""

from pathlib import Path

import torch

from pipeline.config import load_params
from pipeline.curve import Curve
from pipeline.denoiser.model import DenoiserCard, noise_schedule, save_denoiser, untrained
from pipeline.denoiser.params import Params
from pipeline.denoiser.train import CHECKPOINT, train_denoiser
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch, seeded
from pipeline.files import folder_digest, write_json
from pipeline.latents import load_id_train
from pipeline.progress import progress
from pipeline.workspace import unfinished


def make_denoiser(params_file: Path, latents_folder: Path, output: Path, needed_by: Path, curve: Path) -> None:
    """Train the denoiser into `output`, name what was made in the file `needed_by`, show each epoch in `curve`.

    Of a killed run the last checkpoint is kept, and the training goes on from there.
    """
    params = load_params(params_file, Params).denoiser
    prepare_torch(STAGE_THREADS)
    latents, device = load_id_train(latents_folder), chosen_device()
    header = latents.header
    with unfinished(output, {"params": params.model_dump(mode="json")}, [latents_folder]) as work:
        with seeded(params.seed, device):
            denoiser = untrained(header.space, len(header.class_names), params).to(device)
        labels = torch.from_numpy(latents.labels).long().to(device)
        with progress("training the denoiser, epochs", params.epochs) as advance:
            epochs = Curve(curve)
            values, watch = latents.values.to(device), lambda history: advance(epochs.show(history))
            train_denoiser(denoiser, values, labels, params, work, watch)
        card = DenoiserCard(
            space=header.space,
            standardisation=header.standardisation,
            class_names=header.class_names,
            class_dropout=params.class_dropout,
        )
        save_denoiser(work, denoiser.cpu(), noise_schedule(params.noise_levels), card)
        (work / CHECKPOINT).unlink(missing_ok=True)
        write_json(needed_by, {output.name: folder_digest(work)})
