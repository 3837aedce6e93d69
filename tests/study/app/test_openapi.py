"""The documentation of the interface is whole and current."""

from __future__ import annotations

import json

import pytest

from percuss.study.app.openapi import as_text, described
from percuss.study.app.problems import MEANINGS


def test_the_committed_documentation_is_that_of_this_code(root):
    committed = (root / "docs" / "study-api.md").read_text(encoding="utf-8")
    assert committed == as_text(), "run: python -m percuss.study.app.openapi > docs/study-api.md"


def test_every_endpoint_field_and_error_is_described():
    found = described()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            for status, response in operation["responses"].items():
                assert response["description"], (method, path, status)
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}
                    assert response["description"] == MEANINGS[int(status)]
    schemas = found["components"]["schemas"]
    # Inherited fields are described where they come from.
    inherited = {name: schemas["StandingNow"]["description"] for name in ("StandingWithStudy",)}
    inherited |= {name: schemas["Question"]["description"] for name in ("TrialShown", "TrialAnswered")}
    for name, schema in schemas.items():
        assert schema.get("description"), name
        words = schema["description"] + inherited.get(name, "")
        for field, values in schema.get("properties", {}).items():
            plain = field in ("comment", "task", "standing", "name", "csrf", "role", "session", "number")
            assert values.get("description") or field in words or plain, (name, field)


@pytest.mark.parametrize("path", ["/api/v1/openapi.json"])
def test_it_is_served_as_it_is_documented(ada, path):
    served = ada.get(path).json()
    served["info"]["version"] = "1"
    assert json.dumps(served, sort_keys=True) == json.dumps(described(), sort_keys=True)


def test_what_needs_a_login_says_so():
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            free = path in ("/healthz", "/api/v1/login")
            guarded = method == "post" and not free
            names = {name for each in operation.get("security", []) for name in each}
            assert names == (set() if free else {"session", "csrf"} if guarded else {"session"}), (method, path)
