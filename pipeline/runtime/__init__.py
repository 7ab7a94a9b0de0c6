"""Basics for every stage and command: files, devices, processes and errors."""
