"""What is measured; each in a file of its own, in the order of the report."""

import importlib

NAMES = ("start", "memory", "density", "size", "cpu", "kernel", "network",
         "block", "applications", "interference", "isolation")


def load():
    return [importlib.import_module(f"comparison.dimensions.{name}")
            .DIMENSION() for name in NAMES]
