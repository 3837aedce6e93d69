"""Every way of touching a trail, found and named."""

import hashlib
import json

import pytest

from percuss.core.errors import RunError
from percuss.study.canonical import canonical
from percuss.study.trail import START, Head, Record, hash_of, read_line
from percuss.study.verification.trail_lines import Fault, verify, verify_lines


def chained(bodies):
    """Lines of records that follow each other."""
    before, made = START, []
    for number, body in enumerate(bodies, start=1):
        whole = {"old": None, "reason": "", "time": "2026-11-21T09:30:00+01:00", **body, "number": number}
        record = Record.model_validate(
            {**whole, "before": before, "hash": hash_of(before, {**whole, "before": before})}
        )
        made.append(record.line())
        before = record.hash
    return made


@pytest.fixture
def whole():
    return chained([{"who": "A", "what": f"answer {n}", "new": {"label": "tumour", "sure": n}} for n in range(1, 7)])


def test_the_chain_is_what_its_documentation_says(whole):
    """As docs/study-trail.md tells it, by nothing but the standard library."""
    before = "0" * 64
    for line in whole:
        body = json.loads(line)
        assert body["before"] == before
        before = body.pop("hash")
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(f"{body['before']}\n{text}".encode()).hexdigest() == before


def forged(line, **changes):
    """A record with other fields and a hash that fits them."""
    body = {**json.loads(line), **changes}
    body["hash"] = hash_of(body["before"], body)
    return (canonical(body) + "\n").encode()


def swap(all_lines, first, second):
    changed = list(all_lines)
    changed[first], changed[second] = changed[second], changed[first]
    return changed


def judged(lines, head=None):
    return verify_lines([line.removesuffix(b"\n") for line in lines], head=head)


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
    "rubbish at the end": (lambda L: [*L, b"rubbish\n"], Fault("changed", 7, 7)),
    "the last line cut": (lambda L: [*L[:5], L[5][:90]], Fault("changed", 6, 6)),
    "bytes that are no text": (lambda L: [*L[:2], b"\xff\xfe\n", *L[3:]], Fault("changed", 3, 3)),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampering_is_named_with_its_record(whole, case):
    change, fault = TAMPERED[case]
    verdict = judged(change(whole))
    assert verdict.fault == fault and not verdict.sound
    assert str(fault) == f"record {fault.number} was {fault.kind} (line {fault.line})"


def test_any_byte_changed_is_found(whole):
    content = b"".join(whole)
    length = len(whole[0])
    for at in range(0, len(content) - 1, 7):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        fault = judged(changed.split(b"\n")[:-1]).fault
        assert fault is not None and fault.number in {at // length + 1, at // length + 2}, at


def test_what_holds_by_itself_shows_against_a_head_noted_elsewhere(whole):
    head = judged(whole).head
    assert head == Head(number=6, hash=read_line(whole[5].rstrip(b"\n")).hash)
    assert judged(whole, head).sound and judged([]).sound
    assert judged(whole[:4]).sound and judged(whole[:4], head).fault == Fault("removed", 5, 5)
    written_anew = [*whole[:5], forged(whole[5], new="no")]
    assert judged(written_anew).sound and judged(written_anew, head).fault == Fault("rewritten", 6, 6)


def test_an_exported_trail_is_read_from_its_file(whole, tmp_path):
    path = tmp_path / "trail.jsonl"
    path.write_bytes(b"".join(whole))
    assert verify(path).head.number == 6
    path.write_bytes(b"".join(whole).rstrip(b"\n"))
    assert verify(path).sound
    path.write_bytes(b"".join(swap(whole, 1, 4)))
    assert verify(path).fault == Fault("reordered", 2, 2)
    path.write_bytes(b"".join(whole) + b"\n")
    assert verify(path).fault == Fault("changed", 7, 7)
    with pytest.raises(RunError, match="cannot be read"):
        verify(tmp_path / "none")


def test_text_that_no_file_could_hold_is_a_change_and_no_crash(whole):
    lines = [line.decode().rstrip("\n") for line in whole]
    assert verify_lines(lines).sound
    assert verify_lines([*lines[:2], "\ud800", *lines[3:]]).fault == Fault("changed", 3, 3)
