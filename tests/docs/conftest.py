import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def generate():
    """The program that writes the reference pages."""
    path = Path(__file__).resolve().parents[2] / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_generate", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_generate"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
