"""Images in Parquet files: the right rows with the right labels, or an error that says what is wrong."""

from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.images.image_set import OOD_LABEL
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError, ParamsError
from tests.helpers.make import PARQUET_SETS, changed, parquet_data, section
from tests.images.odd import encoded as encoded_image
from tests.images.odd import exif, png_of_size

NAMES = ["ant", "bee", "cow", "dog"]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(value, kind="PNG", mode="L"):
    """Return an image whose two pixels spell `value`, which PNG keeps."""
    file = BytesIO()
    Image.frombytes("L", (2, 1), value.to_bytes(2, "big")).convert(mode).save(file, kind)
    return file.getvalue()


def value_of(image):
    return int.from_bytes(image.convert("L").tobytes(), "big")


def write(path, labels, *, first=0, images=None, type_=STRUCT, **options):
    """Write a file whose row i shows first + i."""
    images = [encoded(first + row) for row in range(len(labels))] if images is None else images
    rows = [{"bytes": image, "path": None} for image in images] if type_ == STRUCT else images
    table = pa.table({"image": pa.array(rows, type_), "label": labels})
    pq.write_table(table, path, **{"row_group_size": 30, "write_page_checksum": True, **options})
    return path


@pytest.fixture
def data(tmp_path):
    """The `data` section over three files; train shows 0 to 239 and test 1000 to 1079, of classes in turn."""
    write(tmp_path / "train.parquet", [0, 1, 2, 3] * 60)
    write(tmp_path / "test.parquet", [3, 2, 1, 0] * 20, first=1000)
    write(tmp_path / "plants.parquet", [-1] * 50, first=2000)
    return parquet_data(tmp_path)


def open_set(data, name, **changes):
    return section(DataParams, changed(data, **changes)).open(name)


def values(data, name, **changes):
    images = open_set(data, name, **changes)
    return [value_of(images.read(index)) for index in range(len(images))]


def test_two_spellings_of_a_class_are_one(data):
    names = ["cafe\u0301", "bee", "cow", "dog"]
    changes = {"sources__animals__class_names": names, "sources__animals__held_out": ["caf\u00e9"]}
    assert open_set(data, "id_train", **changes).class_names == ("bee", "cow", "dog")
    changes["sources__animals__held_out"] = ["bee"]
    assert open_set(data, "id_train", **changes).class_names == ("caf\u00e9", "cow", "dog")
    names[1] = "caf\u00e9"
    with pytest.raises(ParamsError, match="class_names has 'caf\u00e9' twice"):
        open_set(data, "id_train", **changes | {"sources__animals__held_out": []})


def message(data, name, **changes):
    with pytest.raises(ImageFileError) as caught:
        values(data, name, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_row_is_in_exactly_one_part(data):
    train, validation = values(data, "id_train"), values(data, "id_validation")
    assert sorted(train + validation) == [row for row in range(240) if row % 4 != 1]
    assert values(data, "id_test") == [1000 + row for row in range(80) if row % 4 != 2]
    assert values(data, "held_out") == [1000 + row for row in range(80) if row % 4 == 2]
    assert values(data, "plants") == [2000 + row for row in range(50)]


def test_the_split_is_stratified(data):
    assert np.bincount(open_set(data, "id_train").labels).tolist() == [48, 48, 48]
    assert np.bincount(open_set(data, "id_validation").labels).tolist() == [12, 12, 12]


@pytest.mark.parametrize("name", ["id_train", "id_validation", "id_test"])
def test_labels_and_names_belong_to_their_images(data, name):
    images = open_set(data, name)
    assert images.class_names == ("ant", "cow", "dog")
    for index, label in enumerate(images.labels):
        row = value_of(images.read(index)) % 1000
        assert images.class_names[label] == NAMES[3 - row % 4 if name == "id_test" else row % 4]


@pytest.mark.parametrize("name", ["held_out", "plants"])
def test_images_of_no_id_class_are_unknown(data, name):
    images = open_set(data, name)
    assert (set(images.labels), images.class_names) == ({OOD_LABEL}, ())


def test_no_class_need_be_held_out(data):
    sets = {name: chosen for name, chosen in PARQUET_SETS.items() if name != "held_out"}
    images = open_set(data, "id_test", sources__animals__held_out=[], sets=sets)
    assert (len(images), images.class_names) == (80, tuple(NAMES))


def test_a_set_depends_on_its_seed_only(data):
    limits = {"train": 30, "validation": 30, "test": 30, "held_out": 10}
    few = changed(data, sources__animals__limits=limits, sources__plants__images=20)
    for name, chosen in PARQUET_SETS.items():
        assert values(few, name) == values(few, name)
        assert values(few, name) != values(few, name, **{f"sources__{chosen['source']}__seed": 1})


@pytest.mark.parametrize(
    ("name", "limit", "counts"),
    [("id_train", 30, [10] * 3), ("id_validation", 9, [3] * 3), ("id_test", 4, [2, 1, 1]), ("id_test", 999, [20] * 3)],
)
def test_a_limit_takes_some_of_every_class(data, name, limit, counts):
    images = open_set(data, name, **{f"sources__animals__limits__{PARQUET_SETS[name]['part']}": limit})
    assert np.bincount(images.labels).tolist() == counts


def test_a_limit_is_for_its_own_part_and_only_leaves_rows_out(data):
    few = changed(data, sources__animals__limits__train=30, sources__animals__limits__held_out=7)
    assert set(values(few, "id_train")) < set(values(data, "id_train"))
    assert values(few, "id_validation") == values(data, "id_validation")
    assert len(values(few, "held_out")) == 7
    assert len(values(data, "plants", sources__plants__images=20)) == 20


def test_holding_out_another_class_does_not_split_the_others_anew(data):
    other = values(data, "id_validation", sources__animals__held_out=["dog"])
    assert {row for row in other if row % 4 in (0, 2)} == {row for row in values(data, "id_validation") if row % 4 != 3}


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary(), STRUCT], ids=str)
@pytest.mark.parametrize("label_type", [pa.int8(), pa.uint64()], ids=str)
def test_every_layout_gives_the_same_images(data, tmp_path, type_, label_type):
    wanted = values(data, "id_test")
    write(tmp_path / "test.parquet", pa.array([3, 2, 1, 0] * 20, label_type), first=1000, type_=type_)
    assert values(data, "id_test") == wanted


def test_a_jpeg_in_colour_is_read(data, tmp_path):
    write(tmp_path / "plants.parquet", [0], images=[encoded(2000, "JPEG", "RGB")])
    assert open_set(data, "plants").read(0).mode == "RGB"


def test_a_rotated_photograph_is_shown_upright(data, tmp_path):
    content = encoded_image(Image.new("RGB", (9, 6)), "JPEG", exif=exif(6))
    write(tmp_path / "plants.parquet", [0], images=[content])
    assert open_set(data, "plants").read(0).size == (6, 9)


def test_a_file_that_is_not_there_is_named(data, tmp_path):
    (tmp_path / "plants.parquet").unlink()
    found = message(data, "plants")
    assert found.startswith(f"{tmp_path}/plants.parquet: found no file, wanted a Parquet file. Put it there, or")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"image": "imgae"}, "found columns image, label, wanted one called 'imgae'. Correct the source's `image`"),
        ({"image": "imgae"}, "in params.yaml: did you mean 'image'?"),
        ({"label": "lable"}, "wanted one called 'lable'. Correct the source's `label` in params.yaml: did you mean"),
        ({"image": "label"}, "column 'label' of type int64, wanted binary, or a struct with a binary field 'bytes'. "),
        ({"label": "image"}, "column 'image' of type struct<bytes: binary, path: string>, wanted integers. Name"),
        ({"class_names": NAMES[:3]}, "found label 3 in row 0 (the first is 0), wanted 0 to 2 in every row, as there "),
        ({"class_names": [*NAMES, "emu"]}, "found 0 images of class 'emu' (label 4), wanted at least one. Take images"),
    ],
)
def test_parameters_that_do_not_fit_the_file_are_refused(data, changes, wanted):
    assert wanted in message(data, "id_test", **{f"sources__animals__{name}": value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([0, 1, -1, 2], "found label -1 in row 2 (the first is 0), wanted 0 to 3 in every row"),
        ([0, 1, 2, None], "found no label in row 3 (the first is 0), wanted 0 to 3"),
        ([0, 0, 3, 3], "found 0 images of class 'cow' (label 2), wanted at least one"),
        (["a", "b"], "found column 'label' of type string, wanted integers"),
        (pa.array([0, 2**64 - 1], pa.uint64()), "found label 18446744073709551615 in row 1"),
    ],
)
def test_labels_that_do_not_fit_the_classes_are_refused(data, tmp_path, labels, wanted):
    write(tmp_path / "test.parquet", labels)
    assert wanted in message(data, "id_test")


def test_a_held_out_class_that_is_absent_is_named(data, tmp_path):
    write(tmp_path / "test.parquet", [0, 2, 3])
    assert "found 0 images of class 'bee' (label 1), wanted at least one" in message(data, "held_out")


@pytest.mark.parametrize("name", ["id_train", "id_validation"])
def test_a_class_too_small_to_be_split_is_named(data, tmp_path, name):
    write(tmp_path / "train.parquet", [0] * 10 + [2] * 10 + [3] * 2)
    wanted = "found 2 images of class 'dog' (label 3), wanted enough for validation to take 0.2 of them and for both"
    assert wanted in message(data, name)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (None, "found no bytes in row 1 (the first is 0) of column 'image', wanted an image (PNG, JPEG, "),
        (b"", "found no image (none of PNG, JPEG"),
        (b"not an image", "found no image (none of PNG, JPEG"),
        (
            encoded(1)[:45],
            "in row 1 (the first is 0) of column 'image', wanted an image (PNG, JPEG, WEBP, BMP, GIF, TIFF, AVIF",
        ),
        (encoded(1, "ICO"), "found no image (none of PNG, JPEG"),
        (png_of_size(10_000, 10_000), "found too large (10000 x 10000 pixels, wanted at most 89,478,485) in row 1"),
    ],
    ids=["null", "empty", "text", "truncated", "ico", "bomb"],
)
def test_a_row_that_holds_no_image_is_named(data, tmp_path, image, wanted):
    write(tmp_path / "plants.parquet", [0] * 3, images=[encoded(0), image, encoded(2)])
    assert wanted in message(data, "plants")


def test_a_row_without_a_struct_is_named(data, tmp_path):
    table = pa.table({"image": pa.array([{"bytes": encoded(0), "path": None}, None], STRUCT)})
    pq.write_table(table, tmp_path / "plants.parquet")
    assert "found no bytes in row 1" in message(data, "plants")


def test_only_rows_that_were_chosen_are_looked_at(data, tmp_path):
    write(tmp_path / "test.parquet", [0, 1, 2, 3], images=[encoded(0), None, encoded(2), encoded(3)])
    assert values(data, "id_test") == [0, 2, 3]


def test_a_file_without_rows_is_refused(data, tmp_path):
    write(tmp_path / "plants.parquet", pa.array([], pa.int64()))
    assert "plants.parquet: found no rows, wanted images" in message(data, "plants")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"label,image\n" * 100], ids=["empty", "magic", "text"])
def test_a_file_that_is_not_parquet_is_refused(data, tmp_path, content):
    (tmp_path / "plants.parquet").write_bytes(content)
    assert "wanted a whole Parquet file. Fetch it again, or name another in params.yaml." in message(data, "plants")


def test_a_file_cut_anywhere_is_refused(data, tmp_path):
    path = write(tmp_path / "plants.parquet", [0] * 3)
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        assert "wanted a whole Parquet file" in message(data, "plants")


def images_or_none(data, name):
    try:
        return values(data, name)
    except ImageFileError:
        return None


def with_each_byte_flipped(data, name, path):
    """Return what every flip gives: the images, or None for an ImageFileError; nothing else may be raised."""
    whole, found = path.read_bytes(), []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found.append(images_or_none(data, name))
    return found


def test_with_checksums_a_flipped_byte_is_an_error_or_changes_nothing(data, tmp_path):
    path = write(tmp_path / "test.parquet", [0, 1, 2, 3])
    wanted = values(data, "id_test")
    found = with_each_byte_flipped(data, "id_test", path)
    assert None in found
    assert all(result in (None, wanted) for result in found)


def test_without_checksums_what_can_be_decoded_is_believed(data, tmp_path):
    path = write(tmp_path / "test.parquet", [0, 1, 2, 3], write_page_checksum=False)
    wanted = values(data, "id_test")
    found = with_each_byte_flipped(data, "id_test", path)
    assert None in found
    assert any(result not in (None, wanted) for result in found), "then the module can promise more than it does"
