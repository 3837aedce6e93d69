"""synthetic:tissue: repeatable images, exact masks, true labels, patients, options; learnable, but not by colour."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data.spec import load_data
from percuss.data.synthetic import patient_stain
from percuss.data.tissue.nuclei import BACKGROUND, CHANNELS, INFLAMMATORY, NEOPLASTIC
from percuss.data.tissue.scene import label_of, type_mask
from percuss.data.tissue.stains import RUIFROK_JOHNSTON, colour, draw_stain, unmix


@pytest.fixture(scope="module")
def images():
    return load_data("synthetic:tissue?n=48&patients=12&seed=3")


@pytest.fixture(scope="module")
def cases(images):
    return [images.read(name) for name in images.ids]


def test_the_set_and_its_cases(images, cases):
    assert images.task == "classify" and images.classes == ("normal", "tumour")
    assert images.splits and set(images.splits) == {"train", "val", "test"}
    assert images.ids[0] == "P01-0000" and images.entries[13].group == "P02"
    for case, entry in zip(cases, images.entries, strict=True):
        assert case.pixels.shape == (3, 96, 96) and case.pixels.dtype == np.uint8 and case.range == PixelRange(0, 255)
        assert case.spacing_mm == (0.0005, 0.0005) and case.group == entry.group and case.target == entry.target
        assert case.mask.shape == (6, 96, 96) and case.mask.dtype == np.int32


def test_defaults():
    images = load_data("synthetic:tissue")
    assert len(images) == 400 and len({entry.group for entry in images.entries}) == 40
    assert [sum(e.split == s for e in images.entries) for s in ("train", "val", "test")] == [240, 80, 80]
    assert sum(entry.target for entry in images.entries) == 200
    assert len({e.group for e in load_data("synthetic:tissue?n=20").entries}) == 10


def test_reading_is_repeatable_in_any_order(images, cases):
    again = load_data(images.spec)
    for index in (20, 3, 20, 0):
        case = again.read(images.ids[index])
        assert np.array_equal(case.pixels, cases[index].pixels) and np.array_equal(case.mask, cases[index].mask)
    assert again.fingerprint(images.ids[0]) == images.fingerprint(images.ids[0])
    # More patches of the same patients leave the first ones as they are.
    more = load_data("synthetic:tissue?n=60&patients=12&seed=3")
    assert np.array_equal(more.read("P05-0004").pixels, images.read("P05-0004").pixels)
    assert more.fingerprint("P05-0004") == images.fingerprint("P05-0004")


def test_another_seed_another_image(images):
    other = load_data("synthetic:tissue?n=48&patients=12&seed=4")
    name = images.ids[0]
    assert not np.array_equal(images.read(name).pixels, other.read(name).pixels)
    assert images.fingerprint(name) != other.fingerprint(name)
    digests = {hashlib.sha256(images.read(n).pixels.tobytes()).digest() for n in images.ids}
    assert len(digests) == len(images)


def test_a_patient_stands_in_one_split_and_has_both_classes(images):
    for patient in {entry.group for entry in images.entries}:
        own = [entry for entry in images.entries if entry.group == patient]
        assert len({entry.split for entry in own}) == 1 and {entry.target for entry in own} == {0, 1}


def test_the_label_is_what_the_mask_holds(cases):
    for case in cases:
        count = len(np.unique(case.mask[NEOPLASTIC])) - 1 if case.mask[NEOPLASTIC].any() else 0
        assert count >= 5 if case.target else count == 0, case.id
        assert label_of(case.mask) == case.target
    few = np.zeros((6, 8, 8), np.int32)
    few[NEOPLASTIC, 0, :4] = [1, 2, 3, 4]
    assert label_of(few) is None and label_of(few * 0) == 0


def test_masks_are_exact_instances(cases):
    for case in cases:
        nuclei = case.mask[:BACKGROUND]
        assert ((nuclei > 0).sum(0) + case.mask[BACKGROUND] == 1).all(), "each pixel has one type or is background"
        ids = np.unique(nuclei.max(0))
        assert np.array_equal(ids, np.arange(ids[-1] + 1)) or np.array_equal(ids, np.arange(1, ids[-1] + 1))
        for number in ids[ids > 0]:
            assert (nuclei == number).any((1, 2)).sum() == 1, "an instance has one type"


def test_type_mask(cases):
    case = next(case for case in cases if case.target)
    types = type_mask(case.mask)
    assert types.dtype == np.uint8 and np.array_equal(types == 0, case.mask[BACKGROUND] == 1)
    assert np.array_equal(types == 1, case.mask[NEOPLASTIC] > 0)
    assert np.array_equal(types == 1 + INFLAMMATORY, case.mask[INFLAMMATORY] > 0)


def test_five_types_are_present(cases):
    assert CHANNELS == ("neoplastic", "inflammatory", "connective", "dead", "epithelial", "background")
    for channel in range(6):
        assert any(case.mask[channel].any() for case in cases), CHANNELS[channel]


def test_types_differ_as_they_should(cases):
    area, long = {}, {}
    for case in cases:
        for channel in range(BACKGROUND):
            for number, box in enumerate(ndimage.find_objects(case.mask[channel]), 1):
                if box is None or any(side.start == 0 or side.stop == 96 for side in box):
                    continue
                place = np.argwhere(case.mask[channel][box] == number)
                if len(place) < 20:
                    continue
                spread = np.linalg.eigvalsh(np.cov(place.T))
                area.setdefault(channel, []).append(len(place) * 0.25)
                long.setdefault(channel, []).append(np.sqrt(spread[1] / max(spread[0], 1e-6)))
    neoplastic, inflammatory, connective, dead, epithelial = (np.median(area[c]) for c in range(5))
    assert neoplastic > 1.5 * epithelial > 1.5 * inflammatory * 0.9 and inflammatory > dead
    assert np.median(long[2]) > 2 > np.median(long[4]) > np.median(long[1])
    assert 60 < neoplastic < 120 and 24 < inflammatory < 42 and connective < neoplastic


def test_masks_match_the_image(images, cases):
    """Nuclei hold more haematoxylin than what lies around them, in every image with the patient's own stain."""
    for case in cases:
        inside = case.mask[BACKGROUND] == 0
        if inside.sum() < 50:
            continue
        amount = unmix(case.pixels, patient_stain(3, case.group))[0]
        ring = ndimage.binary_dilation(inside, iterations=4) & ~ndimage.binary_dilation(inside, iterations=2)
        assert amount[inside].mean() > amount[ring].mean() + 0.15, case.id
        edge = ndimage.binary_erosion(inside, iterations=1)
        assert amount[edge].mean() > 0.3, case.id


def test_stains_vary_by_patient_alone():
    one, again, other = patient_stain(0, "P01"), patient_stain(0, "P01"), patient_stain(0, "P02")
    assert np.array_equal(one.vectors, again.vectors) and not np.array_equal(one.vectors, other.vectors)
    assert np.allclose(np.linalg.norm(one.vectors, axis=1), 1)
    assert np.allclose(np.linalg.norm(RUIFROK_JOHNSTON, axis=1), 1, atol=2e-3)


def test_colour_and_unmixing_are_inverse():
    rng = np.random.default_rng(0)
    stain, amounts = draw_stain(rng), rng.random((2, 5, 7)) * 0.5
    light = colour(amounts[0], amounts[1], stain)
    assert light.shape == (3, 5, 7) and light.min() > 0 and light.max() < 1
    assert np.allclose(unmix(light * 255, stain), amounts, atol=1e-4)


@pytest.mark.parametrize(("size", "mpp"), [(64, 1.0), (224, 0.25), (80, 0.5), (32, 1.25)])
def test_other_sizes_and_resolutions(size, mpp):
    images = load_data(f"synthetic:tissue?n=6&patients=3&size={size}&mpp={mpp}")
    for name in images.ids:
        case = images.read(name)
        assert case.pixels.shape == (3, size, size) and case.spacing_mm == (mpp / 1000, mpp / 1000)
        assert label_of(case.mask) == case.target


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("synthetic:tisue", "unknown synthetic set: tisue. Allowed: tissue"),
        ("synthetic:tissue?sise=64", "unknown option of synthetic: sise. Allowed: size"),
        ("synthetic:tissue?n=none", "the option n must be a whole number: none"),
        ("synthetic:tissue?n=40&patients=30", "each patient needs at least two patches: n=40 for patients=30"),
        ("synthetic:tissue?size=64", "too small to hold five tumour nuclei.*give size=80 or a larger mpp"),
        ("synthetic:tissue?mpp=fine", "mpp must be micrometres per pixel: fine"),
        ("synthetic:tissue?mpp=nan", "mpp must be micrometres per pixel: nan"),
        ("synthetic:tissue?seed=-1", "the option seed must be a whole number: -1"),
        ("synthetic:tissue?patients=2", "the option patients must be a whole number: 2"),
    ],
)
def test_what_is_refused(spec, words):
    with pytest.raises(DataError, match=words):
        load_data(spec)


@pytest.fixture(scope="module")
def task():
    images = load_data("synthetic:tissue?n=560&patients=40")
    return images.subset(split="train").tensors(), images.subset(split="test").tensors()


def test_mean_colour_is_not_enough(task):
    (images, targets), (others, truth) = task
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(images.mean((2, 3)).numpy(), targets.numpy())
    assert model.score(others.mean((2, 3)).numpy(), truth.numpy()) < 0.85


def test_a_small_network_learns_it(task):
    (images, targets), (others, truth) = task
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    layers = []
    for before, after in ((3, 12), (12, 24), (24, 48), (48, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    steps = 9 * -(-len(images) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(9):
        for part in torch.randperm(len(images)).split(32):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images[part].flip(int(torch.randint(2, 4, ())))), targets[part]).backward()
            optimiser.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        right = float((net(others).argmax(1) == truth).float().mean())
    torch.set_num_threads(threads)
    assert right > 0.9


def test_class_maps_of_tissue(images, cases):
    maps = load_data(f"{images.spec}&task=segment")
    assert maps.task == "segment" and maps.classes == ("background", *CHANNELS[:BACKGROUND])
    assert maps.ids == images.ids and {entry.target for entry in maps.entries} == {0}
    assert [entry.split for entry in maps.entries] == [entry.split for entry in images.entries]
    for case in cases[:8]:
        same = maps.read(case.id)
        assert np.array_equal(same.pixels, case.pixels), "the same picture, whatever is asked of it"
        assert same.target.dtype == np.uint8 and np.array_equal(same.target, type_mask(case.mask))
        assert same.instances.dtype == np.int32 and np.array_equal(same.instances, case.mask[:BACKGROUND].sum(0))
        assert same.mask is None and same.group == case.group and same.spacing_mm == case.spacing_mm
        assert maps.fingerprint(case.id) != images.fingerprint(case.id)
    part = maps.subset(split="test")
    assert part.task == "segment" and part.read(part.ids[0]).target.ndim == 2
    got = part.collect(part.ids)
    assert not got.bad and got.targets.shape == got.instances.shape == (len(part), 96, 96)


def test_patterns_have_their_task_in_any_case():
    assert load_data("synthetic:patterns?n=5&task=segment").task == "segment"
    with pytest.raises(DataError, match="task has an unknown value: classify. Allowed: segment"):
        load_data("synthetic:patterns?n=5&task=classify")
