"""Files that were touched, and what only the key can tell: one planted fault for each way."""

import json

import pytest
from tests.study.tampering import copied, made_in, touch

from percuss.study.canonical import canonical
from percuss.study.seal import load_key
from percuss.study.verification.whole import verify_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_in(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made, tmp_path):
    """The closed study, to be touched."""
    with copied(made[0], tmp_path / "closed") as study:
        yield study


def rewrite(path, change):
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(canonical(values) + "\n", encoding="utf-8")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def first_image(folder):
    return min(folder.images.iterdir())


def swap_images(folder):
    first, second = sorted(folder.images.iterdir())[:2]
    first.rename(folder.path / "x")
    second.rename(first)
    (folder.path / "x").rename(second)


FILES = {
    "sealed.bin": (lambda f: flip(f.sealed), "sealed.bin: not as it was written"),
    "sealed.bin gone": (lambda f: f.sealed.unlink(), "sealed.bin: a file of the run cannot be read"),
    "protocol.json": (
        lambda f: rewrite(f.public_path, lambda v: v.update(positive="normal")),
        "protocol.json: not as it was written",
    ),
    "protocol.json is none": (lambda f: f.public_path.write_text("{}"), "protocol.json: a file of the study cannot"),
    "an image": (lambda f: flip(first_image(f)), "images: not as it was written"),
    "an image gone": (lambda f: first_image(f).unlink(), "images: not as it was written"),
    "an image more": (lambda f: (f.images / "0.png").write_bytes(b"x"), "images: not as it was written"),
    "two images swapped": (swap_images, "images: not as it was written"),
    "study.json": (
        lambda f: rewrite(f.info_path, lambda v: v.update(protocol_hash="0" * 64)),
        "study.json: protocol is not as in the trail",
    ),
    "the title": (lambda f: rewrite(f.info_path, lambda v: v.update(title="x")), "study.json: title is not as in"),
    "what pixels mean": (
        lambda f: rewrite(f.info_path, lambda v: v["pixels"].update(levels=100)),
        "study.json: described is not as in the trail",
    ),
    "study.json is none": (lambda f: f.info_path.write_text("{}"), "study.json: a file of the study cannot be read"),
    "closed.json": (
        lambda f: rewrite(f.closed_path, lambda v: v.update(number=3)),
        "closed.json: the end of the trail that it notes (record 3)",
    ),
    "closed.json is none": (lambda f: f.closed_path.write_text("{"), "closed.json: a file of the study cannot"),
    "closed.json gone": (lambda f: f.closed_path.unlink(), "closed.json is missing: percuss study close STUDY"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_are_held_against_the_trail(study, case):
    act, says = FILES[case]
    act(study.folder)
    assert says in "\n".join(verify_study(study).faults)


def test_with_the_key_it_says_which_picture_was_touched(study):
    key = load_key(study.folder)
    path = first_image(study.folder)
    flip(path)
    assert f"images/{path.name}: not as it was written" in verify_study(study, key=key).faults


def test_with_the_key_orders_that_were_drawn_otherwise_are_found(study):
    key = load_key(study.folder)
    # Whoever knows the key and forges the first record too: two places of one order, swapped.
    touch(study, "DELETE FROM slots WHERE slot = 5 AND number = 12")
    assert any(fault.startswith("order 5: the order of reader slot 5 does not hold") for fault in found(study, key))
    touch(
        study,
        "UPDATE slots SET left_file = (SELECT left_file FROM slots WHERE slot = 4 AND number = 1)"
        " WHERE slot = 4 AND number > 1",
    )
    assert "order 4: a place shows other files than its trial has" in found(study, key)
    touch(study, "UPDATE slots SET session = 1 WHERE slot = 3")
    assert any(fault.startswith("order 3: ") and "sessions one by one" in fault for fault in found(study, key))


def found(study, key):
    return verify_study(study, key=key).faults


def test_a_key_of_another_protocol_is_found(study):
    key = load_key(study.folder)
    touched = key.model_copy(update={"frozen": key.frozen.model_copy(update={"hash": "0" * 64})})
    faults = found(study, touched)
    assert any(fault.startswith("the key: the protocol is not as it was") for fault in faults)
    assert "protocol.json: not as it was written" in faults
