"""What holds for all tests."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test touches the data of whoever runs it. Tests that create keys have a folder of their own."""
    os.environ["PARROTFISH_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ.pop("DATABASE_URL", None)
