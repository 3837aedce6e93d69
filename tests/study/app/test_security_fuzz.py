"""Whatever is sent where the OpenAPI says that something may be sent: the server answers as documented, never 5xx."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.study.app.served import answer_to, serving
from tests.study.small_study import make

from percuss.study.app.openapi import described
from percuss.study.verification.whole import verify_study

OPENAPI = described()
#: Closing comes last: nothing is taken after it.
OPERATIONS = sorted(
    ((method, path) for path, methods in OPENAPI["paths"].items() for method in methods),
    key=lambda each: (each[1].endswith("/close"), each),
)
ALL = dict(deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NEAR = st.sampled_from(
    ["x", "", "diagnosis", "0" * 32, 0, 1, -1, 2, 2**63, 10**400, 1e308, 5e-324, True, None, "\u2028"]
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A reader and an administrator of a study that may come to harm."""
    study, _ = make(tmp_path_factory.mktemp("fuzzed") / "study")
    with serving(study) as served:
        yield served.enrolled(), served.enrolled("Boss", role="administrator")


def fields_of(operation):
    """Names of the fields that a body may have."""
    kinds = operation.get("requestBody", {}).get("content", {}).values()
    wanted = [each["schema"]["$ref"].rpartition("/")[2] for each in kinds]
    return sorted({name for each in wanted for name in OPENAPI["components"]["schemas"][each]["properties"]}) or ["x"]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_gets_an_answer_that_is_not_documented(people, method, path):
    operation = OPENAPI["paths"][path][method]
    documented = {int(status) for status in operation["responses"]} - {500, 503} | {400, 403, 404, 413, 415, 422}
    bodies = st.dictionaries(st.sampled_from(fields_of(operation)), NEAR | JSON, max_size=8) | JSON

    @settings(max_examples=25, **ALL)
    @given(bodies, st.text(max_size=30), st.booleans(), st.sampled_from(["application/json", "text/plain"]))
    def ask(body, token, guarded, kind):
        who = people["/admin" in path]
        address, odd = path, "".join(f"%{byte:02x}" for byte in token.encode("utf-8", "replace"))
        for name in ("token", "level", "x", "y"):
            address = address.replace("{" + name + "}", odd)
        headers = {"Content-Type": kind, "Accept": "application/json"}
        if guarded:
            headers["X-CSRF-Token"] = who.csrf
        content = json.dumps(body).encode() if method == "post" else None
        response = who.client.request(method.upper(), address, content=content, headers=headers)
        assert response.status_code in documented, (response.status_code, response.text, body)
        assert "content-security-policy" in response.headers
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"code", "thing", "allowed", "next"}
        if path.endswith(("/logout", "/login")):
            who.log_in(who.credentials.code)

    ask()


def test_an_answer_with_any_field_as_it_should_not_be_is_refused_or_saved(tmp_path):
    study, _ = make(tmp_path / "study", cases=20)
    with serving(study) as served:
        ada = served.enrolled()
        good = answer_to(ada.get("/api/v1/trials/next").json())
        shown = OPENAPI["components"]["schemas"]["Shown"]["properties"]
        places = [*((name,) for name in good), *(("answer", name) for name in good["answer"])]
        places += [("answer", "comment"), ("answer", "seen"), *(("shown", name) for name in shown)]

        @settings(max_examples=150, **ALL)
        @given(st.sampled_from(places), NEAR | JSON)
        def ask(place, value):
            trial = ada.get("/api/v1/trials/next")
            if trial.status_code == 409:
                return
            sent = answer_to(trial.json())
            within = sent if len(place) == 1 else sent[place[0]]
            within[place[-1]] = value
            headers = {"Content-Type": "application/json", "X-CSRF-Token": ada.csrf}
            response = ada.client.post("/api/v1/answers", content=json.dumps(sent).encode(), headers=headers)
            assert response.status_code in (200, 400, 404, 409, 422), (response.status_code, place, value)
            if response.status_code == 200:
                last = ada.get("/api/v1/trials/last")
                assert last.status_code == 200 and last.json()["answer"]["task"] == "diagnosis"

        ask()
        assert ada.get("/api/v1/standing").json()["done"] > 0
        verdict = verify_study(study)
        assert verdict.sound, verdict.faults
