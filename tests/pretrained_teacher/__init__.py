"""Tests of `pipeline.pretrained_teacher`."""
