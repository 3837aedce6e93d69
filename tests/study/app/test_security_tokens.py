"""Nobody gets what is another's: tokens, roles and paths that are not theirs look like ones that never were."""

from __future__ import annotations

import pytest
from tests.study.app.served import answer_to, code_of, serving
from tests.study.reading import two_sessions

ADMIN_POSTS = ["revoke", "renew", "override", "close"]
READER_GETS = ["trials/next", "trials/last"]
ODD = [
    "..",
    "%2e%2e",
    "..%2f..%2fstudy.db",
    "%2e%2e%2f%2e%2e%2fstudy.json",
    "....//study.json",
    "..%5c..%5cstudy.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "a%00.png",
    "%c0%ae%c0%ae%2f",
    "%252e%252e%252f",
    "~root",
    "CON",
    "\u202e",
    "a" * 4000,
    "*",
    "%ff",
    "%0d%0aSet-Cookie:%20a=b",
]


def same_answers(*responses):
    """Whether responses cannot be told from each other."""
    return len({(each.status_code, each.content, str(sorted(each.headers.items()))) for each in responses}) == 1


def without_date(response):
    del response.headers["date"]
    return response


def test_another_readers_trial_looks_like_none(shared, ada):
    eve = shared.enrolled("Eve of trials")
    theirs = eve.get("/api/v1/trials/next").json()
    random = {**theirs, "trial": "0" * 32}
    refused = [without_date(ada.post("/api/v1/answers", answer_to(trial))) for trial in (theirs, random)]
    assert same_answers(*refused) and code_of(refused[0]) == "unknown-trial" and refused[0].status_code == 404
    assert eve.get("/api/v1/standing").json()["done"] == 0


def test_another_readers_image_looks_like_none_and_so_does_a_later_one(shared, ada):
    eve = shared.enrolled("Eve of images")
    theirs = eve.get("/api/v1/trials/next").json()["images"][0]
    own = ada.get("/api/v1/trials/next").json()["images"][0]
    tokens = [theirs["token"], "0" * 32, "x", own["token"].upper(), own["token"][:-1], theirs["token"] + "0"]
    with shared.study.database.read() as session:
        from percuss.study.tables import PlaceRow

        me = ada.get("/api/v1/standing").json()["name"]
        from percuss.study.reasons import reader_called

        tokens.append(session.get(PlaceRow, (reader_called(session, me).id, 4)).left_token)
    responses = [without_date(ada.get(f"/api/v1/images/{token}")) for token in tokens]
    assert same_answers(*responses) and responses[0].status_code == 404
    assert ada.get(own["url"]).status_code == 200
    assert shared.browser().get(own["url"]).status_code == 401
    tiles = [without_date(ada.get(f"/api/v1/images/{token}/tiles/0/0/0")) for token in (own["token"], "0" * 32)]
    assert same_answers(*tiles) and tiles[0].status_code == 404


def test_an_image_of_a_session_to_come_is_refused(tmp_path):
    with serving(two_sessions(tmp_path)) as served:
        ada = served.enrolled()
        trials = ada.read_all()
        assert len(trials) == 6
        with served.study.database.read() as session:
            from percuss.study.tables import PlaceRow

            later = [session.get(PlaceRow, (1, number)).left_token for number in range(7, 13)]
        assert {ada.get(f"/api/v1/images/{token}").status_code for token in later} == {404}


def test_an_answer_under_anothers_id_is_refused_without_telling_it(shared, ada):
    eve = shared.enrolled("Eve of ids")
    answered = answer_to(eve.get("/api/v1/trials/next").json())
    eve.post("/api/v1/answers", answered)
    mine = answer_to(ada.get("/api/v1/trials/next").json(), id=answered["id"])
    response = ada.post("/api/v1/answers", mine)
    assert (response.status_code, code_of(response)) == (409, "id-used")
    assert ada.post("/api/v1/answers", answered).status_code == 409, "sent by who it is not of"
    assert ada.get("/api/v1/standing").json()["done"] == 0


def test_readers_get_nothing_of_the_administrator(shared, ada):
    responses = [ada.get("/api/v1/admin/progress")]
    body = {"name": "Ada", "session": 2, "reason": "r"}
    responses += [ada.post(f"/api/v1/admin/{path}", body) for path in ADMIN_POSTS]
    assert {(each.status_code, code_of(each)) for each in responses} == {(403, "other-role")}
    assert ada.get("/admin", headers={"Accept": "text/html"}).status_code == 403


def test_administrators_read_nothing(shared, ada, boss):
    trial = ada.get("/api/v1/trials/next").json()
    responses = [boss.get(f"/api/v1/{path}") for path in READER_GETS] + [boss.get(trial["images"][0]["url"])]
    responses += [boss.post("/api/v1/answers", answer_to(trial)), boss.post("/api/v1/display", {})]
    assert {(each.status_code, code_of(each)) for each in responses} == {(403, "other-role")}
    assert boss.get("/read").headers["location"] == "/admin"


def test_who_is_not_logged_in_gets_nothing(shared):
    nobody = shared.browser()
    paths = shared.app.openapi()["paths"]
    open_to_all = {"/healthz", "/api/v1/login"}
    for path, operations in paths.items():
        if path in open_to_all:
            continue
        for method in operations:
            address = path.replace("{token}", "0" * 32).replace("{level}", "0").replace("{x}", "0").replace("{y}", "0")
            response = nobody.client.request(method, address, headers={"Content-Type": "application/json"})
            assert response.status_code == 401, (method, path)
    for page in ("/read", "/admin"):
        assert nobody.get(page).headers["location"] == "/"


@pytest.mark.parametrize("path", ["static/{}", "r/{}", "api/v1/images/{}", "api/v1/images/{}/tiles/0/0/0", "{}"])
def test_no_path_leads_out_of_what_is_served(shared, ada, path):
    for odd in ODD:
        target = "/" + path.format(odd)
        raw = (
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Cookie: percuss_session={ada.client.cookies['percuss_session']}\r\n\r\n"
        ).encode()
        answer = shared.raw(raw)
        assert answer.split(b" ")[1] in (b"400", b"404"), odd
        assert b"root:" not in answer and b"SQLite" not in answer and b"protocol_hash" not in answer
        assert b"\r\nset-cookie" not in answer.lower()


@pytest.mark.parametrize("place", ["-1/0/0", "0/-1/0", "0/0/99", "99/0/0", "a/0/0", "0/0/1e3", f"0/0/{'9' * 400}"])
def test_tiles_are_numbers_that_are_there(ada, place):
    token = ada.get("/api/v1/trials/next").json()["images"][0]["token"]
    response = ada.get(f"/api/v1/images/{token}/tiles/{place}")
    assert response.status_code in (404, 422) and code_of(response) in ("unknown-image", "invalid")
