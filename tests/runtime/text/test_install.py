"""Whoever lacks a package is told what to type: in a clone and elsewhere."""

from pipeline.runtime.text import install
from pipeline.runtime.text.install import install_line


def test_in_a_clone_at_the_pinned_versions():
    assert install_line("onnx") == "pip install -c constraints.txt -e '.[onnx]'"


def test_of_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "CODE", tmp_path)
    assert install_line("onnx") == "pip install 'latent-outliers[onnx]'"
