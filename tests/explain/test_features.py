"""Features by hook, a plane fitted on clean images alone, and what it does with attacked ones."""

import numpy as np
import pytest
import torch
from torch import nn

from percuss.core.errors import DataError, ModelError
from percuss.core.model import Model, ModelInfo
from percuss.explain.embedding import fit_embedding
from percuss.explain.features import features
from percuss.models.spec import load_model


@pytest.mark.parametrize(
    ("spec", "width"),
    [
        ("torchvision:resnet18", 512),
        ("timm:resnet18", 512),
        ("torchvision:squeezenet1_1", 512),
        ("timm:vit_tiny_patch16_224", 192),
        ("timm:mobilenetv3_small_050", 1024),
    ],
)
def test_penultimate_features_of_any_network(spec, width):
    side = 224 if "vit" in spec else 64
    model = load_model(spec, classes=("a", "b"))
    assert features(model, torch.rand(2, 3, side, side)).shape == (2, width)


def test_features_are_what_the_classifier_is_given():
    model = load_model("torchvision:resnet18", classes=("a", "b"))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = features(model, images, batch_size=2)
    with torch.no_grad():
        assert torch.allclose(model.network.fc(found), model(images), atol=1e-4)
    assert torch.allclose(features(model, images, layer="layer4"), found, atol=1e-5)
    with pytest.raises(ModelError, match="layer4"):
        features(model, images, layer="layer5")


class Bare(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))[:, :2]


def test_a_network_without_layers_says_so():
    model = Model(Bare(), ModelInfo("bare", "classify", ("a", "b"), 3))
    with pytest.raises(ModelError, match="name the layer"):
        features(model, torch.rand(1, 3, 8, 8))


@pytest.fixture(scope="module")
def clean():
    found = np.random.default_rng(0).normal(size=(40, 8)).astype("float32")
    found[:20] += 8
    return found


@pytest.fixture(scope="module")
def plane(clean):
    return fit_embedding(clean, seed=1)


def test_the_plane_is_fitted_on_clean_images_only(clean, plane, monkeypatch):
    import umap

    seen, fit = [], umap.UMAP.fit
    monkeypatch.setattr(umap.UMAP, "fit", lambda self, values, *rest: seen.append(values.copy()) or fit(self, values))
    again, before = fit_embedding(clean, seed=1), plane.clean.copy()
    rng = np.random.default_rng(1)
    far = rng.normal(size=(6, 8)).astype("float32") + 100
    placed = again.place(far)
    assert len(seen) == 1 and np.array_equal(seen[0], clean)
    assert np.array_equal(again.clean, before) and np.array_equal(plane.clean, before)
    assert np.allclose(again.place(far[3:4])[0], placed[3])  # no image moves another
    assert np.array_equal(again.clean, before)
    assert torch.get_num_threads() == 1  # umap's compiler sets the threads of the whole process


def test_groups_stay_apart_and_images_find_their_group(clean, plane):
    one, two = plane.clean[:20], plane.clean[20:]
    gap = np.linalg.norm(one.mean(0) - two.mean(0))
    assert gap > max(one.std(0).max(), two.std(0).max())
    placed = plane.place(clean[:3] + 0.01)
    nearer = np.linalg.norm(placed - one.mean(0), axis=1) < np.linalg.norm(placed - two.mean(0), axis=1)
    assert nearer.all()


def test_what_cannot_be_a_plane_is_refused(clean, plane):
    with pytest.raises(DataError, match="too few"):
        fit_embedding(clean[:5])
    with pytest.raises(DataError, match="width"):
        plane.place(clean[:, :4])
    with pytest.raises(DataError, match="finite"):
        plane.place(np.full((1, 8), np.nan))
