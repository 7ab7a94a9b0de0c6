"""Stage `encode@<set>`: one image set to `data/latents/<set>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Ray, run


def encode(image_set: str, autoencoder: Path, output: Path, params: ParamsFile = PARAMS_FILE, ray: Ray = None) -> None:
    """Encode IMAGE_SET with the model in the folder AUTOENCODER into a store of latents, OUTPUT."""
    from pipeline.encode.run import encode as encode_images
    from pipeline.launch import Launch

    encode_images(image_set, params, autoencoder, output, Launch(ray=ray))


if __name__ == "__main__":
    run(encode)
