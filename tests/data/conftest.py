"""Miniatures for the tests of traps: ``test_READER__TRAP`` gets the folder and the spec of that reader's."""

import pytest

from percuss.core.catalogue import entries
from percuss.data.spec import load_data, parse_spec

READERS = entries("data", marker="open_set")


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Folder and spec of each miniature, written once."""
    found = {}

    def get(name):
        if name not in found:
            folder = tmp_path_factory.mktemp(f"traps-{name}")
            found[name] = folder, READERS[name].miniature(folder)
        return found[name]

    return get


@pytest.fixture
def trapped(request, written):
    return written(request.function.__name__.removeprefix("test_").partition("__")[0])


@pytest.fixture
def whole_groups():
    """Whether drawn splits leave every group in one split, where there are groups of several images."""

    def check(spec, shares="0.5,0.5"):
        scheme, location, options = parse_spec(spec)
        tail = "&".join(f"{key}={value}" for key, value in {**options, "split": shares}.items())
        home, several = {}, False
        for entry in load_data(f"{scheme}:{location}?{tail}").entries:
            several = several or entry.group in home
            if home.setdefault(entry.group, entry.split) != entry.split:
                return False
        return several and len(set(home.values())) == 2

    return check
