"""Weights whose header lies are refused in one line, whatever the kind of encoder."""

import json
import struct
from pathlib import Path

import pytest
import torch

from pipeline.detector.detector import Detector
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.encoders.vision_backbone import VisionBackbone
from pipeline.runtime.errors import BundleError, ModelError, OutOfMemoryError
from tests.detector.make import forged, tiny_bundle
from tests.helpers.models import encoder_of, random_kl, random_supervised, write_backbone

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def parts(content):
    """Return header and values of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header, values):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


def with_first(content, **entries):
    """Return the file with other entries of its first tensor."""
    header, values = parts(content)
    name = next(key for key in header if key != "__metadata__")
    header[name] |= entries
    return joined(header, values)


def overlapping(content):
    header, values = parts(content)
    first, second = [key for key in header if key != "__metadata__"][:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]
    return joined(header, values)


LIES = {
    "a header longer than the file": lambda content: struct.pack("<Q", 2**62) + content[8:],
    "a header of 200 MB": lambda content: struct.pack("<Q", 2 * 10**8) + b" " * 1000,
    "a header that is no JSON": lambda content: content[:8] + b"x" + content[9:],
    "values that overlap": overlapping,
    "an offset beyond the file": lambda content: with_first(content, data_offsets=[0, 2**50]),
    "an offset below zero": lambda content: with_first(content, data_offsets=[-4, 4]),
    "a shape beyond all memory": lambda content: with_first(content, shape=[2**40, 2**20]),
    "a shape whose size overflows": lambda content: with_first(content, shape=[2**63, 4]),
    "a type of another size": lambda content: with_first(content, dtype="F16"),
    "a type that is none": lambda content: with_first(content, dtype="object"),
    "half of the values": lambda content: content[: len(content) // 2],
    "nothing": lambda content: b"",
}


def backbone():
    write_backbone(Path("given"), "vit")
    return Encoder(VisionBackbone.read(Path("given"), None))


@pytest.mark.parametrize(
    "make", [lambda: encoder_of(random_kl()), backbone, random_supervised], ids=["kl", "vit", "pixels"]
)
def test_a_saved_encoder_is_refused(make):
    torch.manual_seed(0)
    make().save(Path("encoder"), 32)
    (file,) = Path("encoder/model").glob("*.safetensors")
    whole = file.read_bytes()
    for lie in LIES.values():
        file.write_bytes(lie(whole))
        with pytest.raises((ModelError, OutOfMemoryError), match="encoder") as raised:
            load_encoder(Path("encoder"))
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 800


@pytest.mark.parametrize("lie", LIES)
def test_a_bundle_is_refused(lie):
    folder = tiny_bundle(Path("bundle"))
    file = folder / "encoder/model/diffusion_pytorch_model.safetensors"
    file.write_bytes(LIES[lie](file.read_bytes()))
    with pytest.raises((BundleError, OutOfMemoryError), match="bundle") as raised:
        Detector.load(forged(folder))
    assert "\n" not in str(raised.value)
