"""Image sets are what params.yaml says, the same every time, and apart from each other."""

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.images.image_set import OOD_LABEL, content_hash, from_8_bits, resized
from pipeline.params.data import DataParams
from tests.helpers.make import changed, default_params, pixel_batch, pixels, section

DATA = default_params()["data"]


def open_set(name, **changes):
    return section(DataParams, changed(DATA, **changes)).open(name)


def contents(images):
    return [images.read(index).tobytes() for index in range(len(images))]


def test_the_parts_of_the_digits_add_up():
    sizes = {name: len(open_set(name)) for name in ("id_train", "id_validation", "id_test", "held_out")}
    assert sum(sizes.values()) == 1797
    assert sizes["held_out"] == 174 + 180


def test_the_split_is_stratified():
    labels = open_set("id_test").labels
    counts = np.bincount(labels, minlength=8)
    assert counts.min() >= 52
    assert counts.max() <= 56


def test_each_digit_is_in_exactly_one_part():
    from sklearn.datasets import load_digits

    names = ("id_train", "id_validation", "id_test", "held_out")
    scans = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    wanted = sorted(scan.tobytes() for scan in scans)
    assert sorted(content for name in names for content in contents(open_set(name))) == wanted


def test_held_out_digits_are_unknown_and_the_rest_are_named():
    assert set(open_set("held_out").labels) == {OOD_LABEL}
    assert open_set("id_train").class_names == tuple("01234567")
    assert open_set("id_train", sources__digits__held_out=[0, 5]).class_names == tuple("12346789")


def test_labels_belong_to_their_images():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    scans = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    known = {scan.tobytes(): digit for scan, digit in zip(scans, bunch.target, strict=True)}
    images = open_set("id_train", sources__digits__held_out=[2, 5])
    for index in range(0, len(images), 37):
        assert images.class_names[images.labels[index]] == str(known[images.read(index).tobytes()])


@pytest.mark.parametrize("name", ["id_train", "photographs", "noise"])
def test_a_set_depends_on_its_seed_only(name):
    source = DATA["sets"][name]["source"]
    assert contents(open_set(name)) == contents(open_set(name))
    assert contents(open_set(name)) != contents(open_set(name, **{f"sources__{source}__seed": 1}))


def test_photograph_patches_have_structure_and_noise_has_none():
    def roughness(name):
        grays = np.stack([np.asarray(open_set(name).read(index), float) for index in range(100)])
        return np.abs(np.diff(grays, axis=2)).mean() / grays.std()

    assert roughness("photographs") < 0.5
    assert roughness("noise") > 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_any_mode_becomes_three_channels_in_range(mode):
    values = pixels(Image.new(mode, (7, 5)), 16)
    assert (values.shape, values.dtype, values.min(), values.max()) == ((3, 16, 16), np.float32, -1.0, -1.0)


def test_white_is_one():
    assert pixels(Image.new("L", (8, 8), 255), 16).min() == 1.0


def test_a_batch_is_in_the_order_asked_for():
    images = open_set("noise")
    batch = pixel_batch(images, [3, 1], 16)
    np.testing.assert_array_equal(batch[1], pixels(images.read(1), 16))


def test_pixels_are_8_bit_levels_between_minus_one_and_one():
    resized = picture().resize((16, 16), Image.Resampling.BICUBIC)
    found = pixels(picture(), 16)
    for x, y in ((0, 0), (7, 3), (15, 15)):
        np.testing.assert_allclose(found[:, y, x], [level / 127.5 - 1 for level in resized.getpixel((x, y))], atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [(16, 16), (5, 3), (16, 8)])
def test_an_image_that_is_as_it_should_be_is_what_resampling_would_make_of_it(mode, size):
    wanted = picture(mode, size).convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resized(picture(mode, size), 16), np.asarray(wanted))


def test_all_levels_are_the_same_bits_alone_and_in_a_batch():
    levels = np.arange(256, dtype=np.uint8)
    wanted = [np.float32(level) / np.float32(127.5) - np.float32(1) for level in range(256)]
    assert from_8_bits(levels).tolist() == wanted
    np.testing.assert_array_equal(from_8_bits(np.stack([levels, levels]))[1], from_8_bits(levels))


def content_oracle(image):
    """Hash width, height and RGB pixel by pixel."""
    content = bytearray(image.width.to_bytes(4, "little") + image.height.to_bytes(4, "little"))
    for y in range(image.height):
        for x in range(image.width):
            content += bytes(image.convert("RGB").getpixel((x, y)))
    return int(np.frombuffer(hashlib.sha256(content).digest()[:8], "<i8")[0])


def picture(mode="RGB", size=(5, 3)):
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_a_content_hash_is_over_size_and_rgb_pixels(mode):
    assert content_hash(picture(mode)) == content_oracle(picture(mode))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_the_same_picture_in_another_lossless_file_is_the_same_content(kind):
    file = BytesIO()
    picture().save(file, kind)
    with Image.open(file) as again:
        assert content_hash(again) == content_hash(picture())


def test_a_gray_picture_saved_in_colour_is_the_same_content():
    assert content_hash(picture("L")) == content_hash(picture("L").convert("RGB"))


def test_another_pixel_or_another_shape_is_another_content():
    changed_pixel = picture()
    changed_pixel.putpixel((4, 2), (1, 2, 3))
    assert content_hash(changed_pixel) != content_hash(picture())
    assert content_hash(Image.frombytes("RGB", (3, 5), picture().tobytes())) != content_hash(picture())


def test_all_embedded_images_are_different_pictures():
    names = ("id_train", "id_validation", "id_test", "held_out", "photographs", "noise")
    found = [content_hash(images.read(index)) for images in map(open_set, names) for index in range(len(images))]
    assert len(set(found)) == len(found) == 1797 + 800
