"""Model: shapes, normalisation inside, decisions, fingerprints."""

import pytest
import torch
from torch import nn

from percuss.core.errors import ModelError, NetworkError
from percuss.core.model import Model, ModelInfo, confidence, decide, is_right, wide_logits


class Sum(nn.Module):
    def __init__(self, outputs=2):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, outputs + 1))

    def forward(self, x):
        return x.flatten(1).sum(1, keepdim=True) * self.weight


def info(**changes):
    return ModelInfo(**({"spec": "module", "task": "classify", "classes": ("a", "b"), "channels": 1} | changes))


def test_normalisation_lives_inside():
    model = Model(Sum(), info(mean=(0.5,), std=(0.25,)))
    assert model(torch.full((1, 1, 1, 1), 0.75))[0].tolist() == [1.0, 2.0]


def test_grey_is_copied_to_the_networks_channels():
    model = Model(Sum(), info(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))
    assert model(torch.ones(1, 1, 1, 1))[0, 0].item() == 3.0


def test_wrong_channels_and_size_say_what_to_do():
    model = Model(Sum(), info(size=(4, 4)))
    with pytest.raises(ModelError, match=r"do not fit the model.*\[N, 1, height, width\]"):
        model(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ModelError, match=r"not of the model's size.*\?size=4"):
        model(torch.zeros(1, 1, 5, 5))


def test_errors_of_the_network_are_named_and_those_of_memory_pass():
    class Fails(nn.Module):
        def __init__(self, error):
            super().__init__()
            self.error = error

        def forward(self, x):
            raise self.error

    for error in (AssertionError("size 224 wanted\nmore"), RuntimeError("shapes"), KeyError("x")):
        with pytest.raises(NetworkError, match=r"fails on images of shape \(1, 1, 2, 2\): .*Next: .*--verbose"):
            Model(Fails(error), info())(torch.zeros(1, 1, 2, 2))
    for error in (torch.OutOfMemoryError("full"), RuntimeError("CUDA out of memory"), MemoryError()):
        with pytest.raises(type(error)) as caught:
            Model(Fails(error), info())(torch.zeros(1, 1, 2, 2))
        assert caught.value is error


def test_wrong_output_shape_is_refused():
    with pytest.raises(ModelError, match="output has the wrong shape"):
        Model(Sum(3), info())(torch.zeros(1, 1, 2, 2))


def test_one_logit_serves_two_classes():
    logits = Model(Sum(1), info())(torch.full((1, 1, 1, 1), 0.5))
    assert wide_logits(logits).tolist() == [[0.0, 0.5]]
    assert decide(logits, "classify").tolist() == [1]


def test_multilabel_is_right_only_when_every_label_is():
    logits = torch.tensor([[2.0, -1.0], [2.0, 1.0]])
    assert is_right(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), "multilabel").tolist() == [True, False]
    assert confidence(logits, "multilabel")[0].item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item())


def test_fingerprint_follows_weights_and_record():
    first, second = Model(Sum(), info()), Model(Sum(), info())
    assert first.fingerprint() == second.fingerprint()
    assert Model(Sum(), info(mean=(0.1,))).fingerprint() != first.fingerprint()
    with torch.no_grad():
        second.network.weight[0] += 1e-6
    assert first.fingerprint() != second.fingerprint()


def test_a_classifier_needs_two_classes():
    with pytest.raises(ModelError, match="at least two classes"):
        Model(Sum(), info(classes=("a",)))


def test_ties_go_to_the_first_class_in_maps_as_elsewhere():
    logits = torch.randint(0, 3, (2, 5, 17, 9)).float()
    assert torch.equal(decide(logits, "segment"), logits.argmax(1))
    assert torch.equal(decide(logits[:, :, 0, 0], "classify"), logits[:, :, 0, 0].argmax(1))
