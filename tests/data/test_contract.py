"""Every reader in the catalogue keeps the contract."""

import pytest

from percuss.core.catalogue import entries
from percuss.testing.datasets import check_dataset

READERS = entries("data", marker="open_set")


def test_the_catalogue_finds_the_readers():
    assert {"csv", "folder", "medmnist"} <= set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_contract(name, tmp_path):
    check_dataset(READERS[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("csv", {"task": "segment", "names": "dark|bright"}),
        ("csv", {"task": "segment", "names": "dark|bright", "tile": "4", "stride": "2"}),
        ("pannuke", {"task": "segment"}),
        ("synthetic", {"task": "segment"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_contract_of_class_maps(name, options, tmp_path):
    check_dataset(READERS[name], tmp_path, options)
