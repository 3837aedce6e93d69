"""Where a reader stands, which images they may look at, and the wash-out that the server keeps."""

import pytest
from tests.study.reading import DAYS, START, at, enrolled, read, sent, two_sessions
from tests.study.small_study import make

from percuss.study.access import enrol, log_in
from percuss.study.answering import Refused, save_answer
from percuss.study.closing import close
from percuss.study.overriding import override_washout
from percuss.study.standing import Shown, image_of, place, place_of_token, shown_places, standing


@pytest.fixture
def study(tmp_path):
    made = two_sessions(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def ada(study):
    return enrolled(study)


def visible(study, reader, **when):
    """Numbers of the places whose images the server hands out."""
    places = [place(study, reader, number) for number in range(1, 13)]
    handed = {p.number: [image_of(study, reader, image.token, **when) for image in p.images] for p in places}
    assert all(files == [image.file for image in places[n - 1].images] for n, files in handed.items() if any(files))
    return [number for number, files in handed.items() if any(files)]


def test_at_the_beginning_the_first_place_and_two_ahead_are_there(study, ada):
    stands = standing(study, ada, now=START)
    assert (stands.phase, stands.done, stands.total, stands.next_number, stands.last_number) == (
        "reading",
        0,
        12,
        1,
        None,
    )
    assert (stands.session, stands.sessions, stands.session_done, stands.session_total) == (1, 2, 0, 6)
    assert visible(study, ada, now=START) == [1, 2, 3]


def test_in_the_middle_the_last_answer_can_be_looked_at_again(study, ada):
    read(study, ada, 1, 3)
    stands = standing(study, ada, now=START)
    assert (stands.done, stands.session_done, stands.next_number, stands.last_number) == (3, 3, 4, 3)
    assert visible(study, ada, now=START) == [3, 4, 5, 6]


def test_fetching_ahead_never_reaches_into_a_session_that_is_not_open(study, ada):
    read(study, ada, 1, 4)
    assert visible(study, ada, now=START) == [4, 5, 6]
    read(study, ada, 5, 5)
    assert visible(study, ada, now=START) == [5, 6]


def test_a_session_opens_so_many_days_after_the_last_answer_of_the_one_before(study, ada):
    read(study, ada, 1, 5, now=START)
    read(study, ada, 6, 6, now=at(hours=3))
    before, after = at(days=DAYS, hours=3, seconds=-1), at(days=DAYS, hours=3)
    stands = standing(study, ada, now=before)
    assert (stands.phase, stands.session, stands.session_done, stands.session_total) == ("washout", 2, 0, 6)
    assert stands.opens == after.isoformat(timespec="microseconds") and stands.next_number is None
    assert visible(study, ada, now=before) == []
    with pytest.raises(Refused, match=f"not open yet. Next: come back after {stands.opens[:10]}") as refused:
        save_answer(study, ada, sent(study, ada, 7), now=before)
    assert (refused.value.status, refused.value.code) == (409, "session-not-open")
    stands = standing(study, ada, now=after)
    assert (stands.phase, stands.next_number, stands.opens, stands.last_number) == ("reading", 7, None, None)
    assert visible(study, ada, now=after) == [7, 8, 9]
    read(study, ada, 7, 7, now=after)
    # The session is under way: a clock that was set back closes it no more.
    assert standing(study, ada, now=before).phase == "reading"
    assert visible(study, ada, now=after) == [7, 8, 9, 10]


def test_in_a_washout_the_last_image_can_be_looked_at_for_an_hour_only(study, ada):
    read(study, ada, 1, 6)
    assert (standing(study, ada, now=at(minutes=59)).last_number, visible(study, ada, now=at(minutes=59))) == (6, [6])
    assert (standing(study, ada, now=at(minutes=60)).last_number, visible(study, ada, now=at(minutes=60))) == (None, [])


def test_a_correction_moves_no_washout(study, ada):
    read(study, ada, 1, 6)
    save_answer(study, ada, sent(study, ada, 6, label="normal", reason="a slip"), now=at(days=3))
    assert standing(study, ada, now=at(days=DAYS)).phase == "reading"


def test_without_a_washout_the_next_session_opens_at_once(tmp_path):
    study = two_sessions(tmp_path / "other", washout=0)
    ada = enrolled(study)
    read(study, ada, 1, 6)
    assert (standing(study, ada, now=START).next_number, visible(study, ada, now=START)) == (7, [7, 8, 9])
    read(study, ada, 7, 12)
    stands = standing(study, ada, now=START)
    assert (stands.phase, stands.done, stands.session, stands.session_done) == ("finished", 12, 2, 6)
    assert (stands.next_number, stands.last_number) == (None, 12) and visible(study, ada, now=START) == [12]


def test_a_washout_of_any_length_is_a_time(tmp_path):
    study = two_sessions(tmp_path / "long", washout=1e300)
    ada = enrolled(study)
    read(study, ada, 1, 6)
    assert standing(study, ada, now=START).opens.startswith("2126-")


def test_a_closed_study_shows_nothing(study, ada):
    read(study, ada, 1, 2)
    close(study, who="Grace", reason="enough")
    stands = standing(study, ada)
    assert (stands.phase, stands.done, stands.next_number, stands.last_number) == ("closed", 2, None, None)
    assert visible(study, ada) == []


def test_tokens_of_another_reader_are_as_unknown_as_any(study, ada):
    grace = enrolled(study, "Grace")
    theirs = place(study, grace, 1)
    for token in (theirs.token, "0" * 32, "", "\ud800", theirs.images[0].token):
        assert place_of_token(study, ada, token) is None
        assert image_of(study, ada, token) is None
    assert image_of(study, ada, theirs.images[0].file) is None
    assert image_of(study, ada, place(study, ada, 1).token) is None
    assert place_of_token(study, grace, theirs.token) == theirs
    assert image_of(study, grace, theirs.images[0].token) == theirs.images[0].file


def test_an_administrator_sees_no_place(study, ada):
    chief = log_in(study, enrol(study, "Chief", role="administrator").code).reader.id
    stands = standing(study, chief)
    assert (stands.phase, stands.total, stands.sessions, stands.next_number) == ("finished", 0, 0, None)
    assert shown_places(study, chief) == Shown(last=None, next=None, ahead=()) and visible_to_nobody(study, chief, ada)


def visible_to_nobody(study, chief, ada):
    """No image of a reader goes to somebody else."""
    return all(image_of(study, chief, image.token) is None for image in place(study, ada, 1).images)


def test_pairs_have_two_images_the_left_one_first(tmp_path):
    study, _ = make(tmp_path / "pairs", tasks=("same",))
    ada = enrolled(study)
    shown = shown_places(study, ada)
    assert [len(p.images) for p in shown.places()] == [2, 2, 2]
    left, right = shown.next.images
    assert left.file != right.file and image_of(study, ada, right.token) == right.file


def test_an_override_opens_a_session_at_once_and_only_that(study, ada):
    grace = enrolled(study, "Grace")
    read(study, ada, 1, 6), read(study, grace, 1, 6)
    override_washout(study, "Ada", 2, who="Chief", reason="leaves on Friday", now=at(days=1))
    assert standing(study, ada, now=at(days=1)).next_number == 7
    assert visible(study, ada, now=at(days=1)) == [7, 8, 9]
    assert standing(study, grace, now=at(days=1)).phase == "washout"
