"""Photographs to make a project of, and no git configuration of whoever runs the tests."""

import pytest


@pytest.fixture(autouse=True)
def identity(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


@pytest.fixture
def photos():
    from tests.commands.test_new_project import pictures

    return pictures("photos", ["barn", "eagle", "snowy"], 10)


@pytest.fixture(autouse=True)
def no_long_measuring(monkeypatch):
    monkeypatch.setattr("pipeline.commands.encoder_speed.ENOUGH", 0.0)


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    """What whoever runs the tests has fetched from the hub is not at hand."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
