import json

import pytest


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("attacks", ("pgd", "fgsm", "noise", "foolbox:NAME")),
        ("datasets", ("folder:", "csv:", "medmnist:", "synthetic:")),
        ("defences", ("pgd", "trades", "free", "fast")),
        ("models", ("timm:NAME",)),
    ],
)
def test_lists_names_with_what_they_are(percuss, what, names):
    done = percuss("list", what)
    assert done.exit_code == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(names) <= set(lines) and all(len(line.split()) > 2 for line in lines.values())
    assert set(json.loads(percuss("list", what, "--json").stdout)) == set(lines)


def test_networks_by_part_of_their_name(percuss):
    done = percuss("list", "models", "--match", "resnet18")
    assert "timm:resnet18" in done.stdout.split() and "torchvision:resnet18" in done.stdout.split()


def test_unknown_kind(percuss):
    done = percuss("list", "attack")
    assert done.exit_code == 2 and "Allowed: attacks" in done.stderr
