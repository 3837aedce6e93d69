"""Nothing that is served before closing tells an arm, a case, a patient, a truth or a file."""

from __future__ import annotations

import re
import uuid

import pytest
from tests.study.app.served import serving
from tests.study.small_study import LABELS, SIZE, make

from percuss.study.design.trials import Arm
from percuss.study.tables import PlaceRow, ReaderRow

ARMS = (Arm(kind="original"), Arm(kind="adversarial", size=SIZE), Arm(kind="noise", size=SIZE), Arm(kind="identical"))
TASKS = ("diagnosis", "manipulation", "choice", "same")


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """A study in all tasks and arms, read to the end by one reader who asks for everything; with its key."""
    study, key = make(tmp_path_factory.mktemp("blind") / "study", cases=4, tasks=TASKS, arms=ARMS)
    with serving(study) as served:
        ada = served.enrolled()
        for path in ("/", "/read", "/admin", "/healthz", "/api/v1/openapi.json", "/api/v1/standing", "/nothing"):
            ada.get(path, headers={"Accept": "text/html"})
        ada.post("/api/v1/display", {"monitor": "EIZO"})
        ada.post("/api/v1/answers", {"id": str(uuid.uuid4())})
        trials = ada.read_all()
        ada.get("/api/v1/trials/last")
        boss = served.enrolled("Boss", role="administrator")
        boss.get("/admin")
        boss.get("/api/v1/admin/progress")
        boss.post("/api/v1/admin/revoke", {"name": "Nobody", "reason": "r"})
        from percuss.study.app.pages import static_files

        for name in static_files():
            ada.get(f"/static/{name}")
        with study.database.read() as session:
            reader = session.query(ReaderRow).filter_by(name="Ada").one().id
            shown = {row.number: key.trials[row.trial] for row in session.query(PlaceRow).filter_by(reader=reader)}
        yield {"study": study, "key": key, "trials": trials, "arms": shown, "seen": ada.seen + boss.seen}


def sources(browser):
    """All that the page of a reader is made of, in small letters, by name."""
    page = browser.get("/read").text
    scripts = re.findall(r'src="(/static/[^"]+)"', page)
    return {"page": page.lower()} | {
        name: browser.get(name).text.lower() for name in scripts if "seadragon" not in name
    }


def test_who_diagnoses_finds_no_later_task_in_the_source_nor_ahead(tmp_path):
    study, _ = make(tmp_path / "study", cases=2, arms=ARMS[:2], tasks=TASKS)
    with serving(study) as served:
        ada = served.enrolled()
        for number in range(1, 5):
            trial = ada.get("/api/v1/trials/next").json()
            assert trial["task"] == "diagnosis"
            told = sources(ada) | {"next": str(trial), "standing": ada.get("/api/v1/standing").text}
            for name, source in told.items():
                hint = re.search(r"manipul|computer program|was changed|rating:|task-[cms]", source)
                assert not hint, (number, name, hint)
            ada.answer(trial)
        assert ada.get("/api/v1/trials/next").json()["task"] == "manipulation"
        assert "Was this image changed" in ada.get("/static/task-manipulation.js").text


def test_no_byte_served_names_what_is_hidden(reading):
    study, key = reading["study"], reading["key"]
    hidden = {case.id for case in key.frozen.protocol.cases} | {case.patient for case in key.frozen.protocol.cases}
    hidden |= {SIZE, "linf=", "fgsm", key.frozen.hash, key.model, key.run, str(study.folder.path)}
    hidden |= set(key.files) | {name.removesuffix(".png") for name in key.files} | set(key.files.values())
    hidden |= set(key.trials) | set(key.trials.values()) | {study.info.sealed_sha256}
    assert len(reading["seen"]) > 150
    for response in reading["seen"]:
        whole = response.content + str(response.headers.multi_items()).encode() + str(response.url).encode()
        if "/static/" not in str(response.url) and "/openapi" not in str(response.url):
            for word in ("adversarial", "perturbed", "original", "noise", "attack", "truth", "identical"):
                assert word.encode() not in whole.lower(), (word, response.url)
        for word in hidden:
            assert word.encode() not in whole, (word, response.url)


def test_every_response_of_every_arm_is_alike_but_for_its_pixels(reading):
    images = [response for response in reading["seen"] if "/images/" in str(response.url)]
    assert len(images) > 60 and all(response.status_code == 200 for response in images)
    heads = {tuple((name, value) for name, value in each.headers.items() if name != "date") for each in images}
    assert len(heads) == 1, "headers, their order and the length"
    names = {name for name, _ in next(iter(heads))}
    assert not names & {"etag", "last-modified", "content-disposition", "server", "accept-ranges", "vary", "age"}
    assert len({len(response.content) for response in images}) == 1
    assert len({str(response.url).split("/images/")[0] + str(len(str(response.url))) for response in images}) == 1


def test_what_is_said_of_a_trial_is_alike_for_every_arm(reading):
    kinds = {}
    for trial, _ in reading["trials"]:
        plain = re.sub(r'"[0-9a-f]{32}"', '"T"', str(trial).replace("'", '"'))
        plain = re.sub(r"/images/[0-9a-f]{32}", "/images/T", plain)
        for number in ("number", "done", "session_done", "next_number", "last_number"):
            plain = re.sub(rf'"{number}": (\d+|None)', f'"{number}": 0', plain)
        plain = re.sub(r'"ahead": .*?"standing"', '"standing"', plain)
        _, _, arm, _ = reading["arms"][trial["number"]].split("|")
        kinds.setdefault((trial["task"], plain), set()).add(arm)
    assert {task for task, _ in kinds} == set(TASKS)
    for task in TASKS:
        mine = [arms for (asked, _), arms in kinds.items() if asked == task]
        assert len(mine) == 1, "one form of words for each task, whatever the arm"


def test_the_identical_pair_comes_under_two_tokens(reading):
    pairs = [trial for trial, _ in reading["trials"] if "|identical|" in reading["arms"][trial["number"]]]
    assert pairs and all(one["images"][0]["token"] != one["images"][1]["token"] for one in pairs)


def test_no_token_comes_twice(reading):
    tokens = [image["token"] for trial, _ in reading["trials"] for image in trial["images"]]
    tokens += [trial["trial"] for trial, _ in reading["trials"]]
    assert len(set(tokens)) == len(tokens)


def test_an_image_leaves_at_whole_steps_whatever_the_disk_takes(tmp_path, monkeypatch: pytest.MonkeyPatch):
    import time

    from percuss.study.app import images

    study, _ = make(tmp_path / "study")
    monkeypatch.setattr(images, "STEP", 0.1)
    read = images._read
    with serving(study) as served:
        ada = served.enrolled()
        url = ada.get("/api/v1/trials/next").json()["images"][0]["url"]
        took = []
        for slow in (0.0, 0.03, 0.06):
            monkeypatch.setattr(images, "_read", lambda *a, slow=slow: (time.sleep(slow), read(*a))[1])
            begun = time.perf_counter()
            assert ada.get(url).status_code == 200
            took.append(time.perf_counter() - begun)
    assert min(took) >= 0.1, took


def test_a_progress_page_holds_no_answer(reading):
    progress = [response for response in reading["seen"] if str(response.url).endswith("/admin/progress")]
    assert all(label not in response.text for label in LABELS for response in progress)


def test_nothing_served_loads_from_elsewhere(reading):
    """The vendored viewer names addresses in comments and XML namespaces; our own files name none."""
    for response in reading["seen"]:
        assert "content-security-policy" in response.headers, response.url
        assert "default-src 'none'" in response.headers["content-security-policy"]
        if "openseadragon" in str(response.url):
            continue
        for found in re.findall(rb"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'<>)]*", response.content.lower()):
            assert found.startswith(b"http://www.w3.org/"), (found, response.url)
