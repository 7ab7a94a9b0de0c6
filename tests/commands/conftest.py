"""Photographs to make a project of, and no git configuration of whoever runs the tests."""

import pytest


@pytest.fixture(autouse=True)
def identity(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


@pytest.fixture
def photos():
    from tests.commands.test_new_project import pictures

    return pictures("photos", ["barn", "eagle", "snowy"], 10)
