"""The audit trail: what it keeps, and every way of touching it found and named."""

import json
import multiprocessing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from percuss.core.errors import RunError, UsageError
from percuss.study.canonical import canonical, digest
from percuss.study.trail import START, Event, Head, append, hash_of, read_line
from percuss.study.verify import Fault, verify

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture
def trail(tmp_path):
    path = tmp_path / "trail.jsonl"
    for number in range(6):
        append(path, Event(who="A", what=f"answer trial-{number}", new={"label": "tumour", "sure": number}), now=NOW)
    return path


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def forged(line, **changes):
    """A record with other fields and a hash that fits them."""
    body = {**json.loads(line), **changes}
    body["hash"] = hash_of(body["before"], body)
    return (canonical(body) + "\n").encode()


def test_a_record_says_who_what_when_and_why(tmp_path):
    path = tmp_path / "trail.jsonl"
    record = append(path, Event(who="Zoë", what="answer t", old="no", new="yes", reason="slip"), now=NOW)
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored == record.model_dump() and stored["time"] == "2026-11-21T09:30:00.000000+01:00"
    assert (stored["number"], stored["before"], stored["old"], stored["new"]) == (1, START, "no", "yes")


def test_the_time_is_the_servers_with_its_zone(tmp_path):
    before = datetime.now(UTC)
    time = datetime.fromisoformat(append(tmp_path / "t", Event(who="A", what="b")).time)
    assert time.utcoffset() is not None and before <= time <= datetime.now(UTC)
    with pytest.raises(UsageError, match="without a zone"):
        append(tmp_path / "t", Event(who="A", what="b"), now=datetime(2026, 1, 1))


def test_an_untouched_trail_is_sound(trail):
    verdict = verify(trail)
    last = read_line(lines(trail)[-1].rstrip(b"\n"))
    assert verdict.sound and verdict.torn == b"" and verdict.head == Head(number=6, hash=last.hash)
    assert verify(trail, head=verdict.head).sound


def swap(all_lines, first, second):
    all_lines[first], all_lines[second] = all_lines[second], all_lines[first]
    return all_lines


TAMPERED = {
    "a value changed": (lambda L: [*L[:2], L[2].replace(b"tumour", b"normal"), *L[3:]], Fault("changed", 3, 3)),
    "the last changed": (lambda L: [*L[:5], L[5].replace(b"tumour", b"normal")], Fault("changed", 6, 6)),
    "the first changed": (lambda L: [L[0].replace(b"tumour", b"normal"), *L[1:]], Fault("changed", 1, 1)),
    "a time changed": (lambda L: [*L[:3], L[3].replace(b"09:30", b"09:31"), *L[4:]], Fault("changed", 4, 4)),
    "changed with its hash": (lambda L: [*L[:2], forged(L[2], new="no"), *L[3:]], Fault("changed", 3, 3)),
    "a space added": (lambda L: [*L[:2], L[2].replace(b'"new":', b'"new": '), *L[3:]], Fault("changed", 3, 3)),
    "a key twice": (lambda L: [L[0].replace(b'"who"', b'"who":"A","who"'), *L[1:]], Fault("changed", 1, 1)),
    "removed": (lambda L: [*L[:2], *L[3:]], Fault("removed", 3, 3)),
    "the first removed": (lambda L: L[1:], Fault("removed", 1, 1)),
    "two removed": (lambda L: [*L[:2], *L[4:]], Fault("removed", 3, 3)),
    "neighbours swapped": (lambda L: swap(L, 2, 3), Fault("reordered", 3, 3)),
    "the ends swapped": (lambda L: swap(L, 0, 5), Fault("reordered", 1, 1)),
    "the last two swapped": (lambda L: swap(L, 4, 5), Fault("reordered", 5, 5)),
    "one moved to the end": (lambda L: [*L[:1], *L[2:], L[1]], Fault("reordered", 2, 2)),
    "one moved ahead": (lambda L: [L[4], *L[:4], L[5]], Fault("reordered", 1, 1)),
    "a copy inserted": (lambda L: [*L[:4], L[1], *L[4:]], Fault("inserted", 5, 5)),
    "forged and inserted": (lambda L: [*L[:2], forged(L[2], new="no"), *L[2:]], Fault("inserted", 3, 3)),
    "forged far number": (lambda L: [*L[:2], forged(L[2], number=9), *L[2:]], Fault("inserted", 3, 3)),
    "rubbish inserted": (lambda L: [*L[:2], b"rubbish\n", *L[2:]], Fault("inserted", 3, 3)),
    "a blank line inserted": (lambda L: [*L[:2], b"\n", *L[2:]], Fault("inserted", 3, 3)),
    "whole rubbish at the end": (lambda L: [*L, b"rubbish\n"], Fault("changed", 7, 7)),
    "rubbish without line feed": (lambda L: [*L, b"rubbish"], Fault("changed", 7, 7)),
    "bytes that are no text": (lambda L: [*L[:2], b"\xff\xfe\n", *L[3:]], Fault("changed", 3, 3)),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampering_is_named_with_its_record(trail, case):
    change, fault = TAMPERED[case]
    trail.write_bytes(b"".join(change(lines(trail))))
    verdict = verify(trail)
    assert verdict.fault == fault and not verdict.sound and verdict.torn == b""
    assert str(fault) == f"record {fault.number} was {fault.kind} (line {fault.line})"


def test_any_byte_changed_is_found(trail):
    content = trail.read_bytes()
    length = len(lines(trail)[0])
    for at in range(0, len(content) - 1, 7):
        trail.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        fault = verify(trail).fault
        assert fault is not None and fault.number in {at // length + 1, at // length + 2}, at


def test_what_holds_by_itself_shows_against_a_head_noted_elsewhere(trail):
    head, whole = verify(trail).head, lines(trail)
    trail.write_bytes(b"".join(whole[:4]))
    assert verify(trail).sound and verify(trail, head=head).fault == Fault("removed", 5, 5)
    trail.write_bytes(b"".join([*whole[:5], forged(whole[5], new="no")]))
    assert verify(trail).sound and verify(trail, head=head).fault == Fault("rewritten", 6, 6)


def test_a_line_torn_anywhere_is_no_tampering_and_the_trail_goes_on(trail):
    whole = lines(trail)
    for cut in range(1, len(whole[5])):
        trail.write_bytes(b"".join(whole[:5]) + whole[5][:cut])
        verdict = verify(trail)
        assert verdict.sound and verdict.head.number == 5 and verdict.torn == whole[5][:cut]
    for cut in (1, 40, 90, 200, len(whole[5]) - 1):
        trail.write_bytes(b"".join(whole[:5]) + whole[5][:cut])
        record = append(trail, Event(who="B", what="answer trial-9"), now=NOW)
        kept = json.loads(lines(trail)[5])
        assert record.number == 7 and kept["who"] == "server" and kept["old"] == whole[5][:cut].decode()
        assert verify(trail).sound and verify(trail).head.number == 7


def test_a_letter_cut_in_two_is_kept(tmp_path):
    path = tmp_path / "t"
    append(path, Event(who="A", what="ü"), now=NOW)
    content = path.read_bytes()
    path.write_bytes(content[: content.index("ü".encode()) + 1])
    append(path, Event(who="A", what="b"), now=NOW)
    assert json.loads(lines(path)[0])["old"].endswith("\\xc3") and verify(path).sound


def test_nothing_is_added_to_a_damaged_end(trail):
    for end in (b"rubbish\n", b"rubbish"):
        content = b"".join(lines(trail)[:6]) + end
        trail.write_bytes(content)
        with pytest.raises(RunError, match=r"not written by Percuss.*verify"):
            append(trail, Event(who="A", what="b"))
        assert trail.read_bytes() == content


def test_a_failed_write_leaves_the_trail_as_it_was(trail, monkeypatch):
    content = trail.read_bytes() + lines(trail)[0][:1]
    trail.write_bytes(content)
    monkeypatch.setattr("percuss.study.trail.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(RunError, match="disk is full"):
        append(trail, Event(who="A", what="b"))
    assert trail.read_bytes() == content


def test_values_without_a_form_in_json_are_refused(tmp_path):
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(UsageError, match="no form in JSON"):
            append(tmp_path / "t", Event(who="A", what="b", new=value))
    with pytest.raises(RunError, match="cannot be written"):
        append(tmp_path / "missing" / "t", Event(who="A", what="b"))
    with pytest.raises(RunError, match="cannot be read"):
        verify(tmp_path / "none")


def test_lines_longer_than_a_block_are_found(tmp_path):
    for size in (10, 200_000, 70_000, 5):
        append(tmp_path / "t", Event(who="A", what="b", new="é" * size), now=NOW)
    assert verify(tmp_path / "t").head.number == 4


def write_many(path, who, count):
    for number in range(count):
        append(path, Event(who=who, what=f"answer {number}"))


def test_processes_take_turns(tmp_path):
    path = tmp_path / "t"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(path, f"reader {n}", 20)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = [json.loads(line) for line in lines(path)]
    assert verify(path).head.number == 60
    assert {(record["who"], record["what"]) for record in records} == {
        (f"reader {n}", f"answer {k}") for n in range(3) for k in range(20)
    }


def test_canonical_json_is_one_text_for_one_value():
    assert canonical({"b": [1, 0.5, None, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,0.5,null,true]}'
    # SHA-256 of the two bytes {}, as any sha256sum gives it.
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
