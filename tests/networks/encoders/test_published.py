"""The size of a backbone's images is read from its files, however its authors wrote it."""

import json

import pytest

from pipeline.networks.encoders.published import input_size


@pytest.mark.parametrize(
    ("preprocessor", "config", "size"),
    [
        ({"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 256}}, {"image_size": 518}, 224),
        ({"crop_size": 192, "do_center_crop": True}, {}, 192),
        ({"size": {"height": 260, "width": 260}}, {}, 256),
        ({"size": {"shortest_edge": 7}}, {}, 224),
        ({"crop_size": {"height": 289, "width": 289}, "do_center_crop": False, "size": {"height": 224}}, {}, 224),
        ({"size": {"shortest_edge": 384}}, {"image_size": 224}, 384),
        ({"size": 96}, {}, 96),
        ({"size": {"longest_edge": 512}}, {"vision_config": {"image_size": 256}}, 256),
        ({}, {"image_size": [160, 160]}, 160),
        ({"size": -1, "crop_size": True}, {"image_size": 10**9}, 224),
        ({"size": []}, {"vision_config": None, "image_size": "64"}, 224),
        ([], [], 224),
    ],
)
def test_the_size_is_found_wherever_it_is_written(tmp_path, preprocessor, config, size):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert input_size(tmp_path) == size


def test_without_files_it_is_the_usual_size(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xff{")
    assert input_size(tmp_path) == 224
