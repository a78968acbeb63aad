from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.record.record import Epoch
from tarazu.report.dynamics import read_dynamics


def curve(train, validation=None, accuracy=None):
    count = len(train)
    validation = validation or [None] * count
    scores = [{"accuracy": value} for value in accuracy] if accuracy else [{}] * count
    return [
        Epoch(epoch=i + 1, train_loss=train[i], validation_loss=validation[i], metrics=scores[i])
        for i in range(count)
    ]


def kinds(*args, **kwargs):
    return [finding.kind for finding in read_dynamics(curve(*args, **kwargs))]


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        ([1.0, 0.8, 0.7], [0.9, 0.8, 0.79], ["falling"]),
        ([1.0, 0.6, 0.5, 0.495, 0.492], [0.9, 0.7, 0.68, 0.68, 0.68], ["levelling"]),
        ([1.1, 1.1, 1.1], [1.1, 1.1, 1.1], ["flat"]),
        ([1.0, 0.6, 0.3], [0.8, 0.7, 0.9], ["falling", "over-fitting"]),
        ([1.0, 0.7, 0.9, 0.6], [0.9, 0.8, 0.79, 0.78], ["unsteady"]),
        ([1.0, 0.8, 0.7, 0.6], [0.9, 0.8, 0.9, 0.78], ["falling", "unsteady"]),
        ([1.0, 1.1, 1.9], [1.0, 1.2, 2.0], ["diverged"]),
        ([1.0, 0.8, 0.6], [0.9, 0.8, 0.7], ["falling", "under-trained"]),
        ([1.0, 0.8, 0.6], None, ["falling", "under-trained"]),
        ([0.001, 0.0004, 0.0009], [0.001, 0.001, 0.002], ["flat"]),
        ([0.7], [0.6], ["single"]),
        ([], None, ["none"]),
    ],
)
def test_hand_made_curves(train, validation, expected):
    assert kinds(train, validation) == expected


def test_over_fitting_says_since_when():
    (_, finding) = read_dynamics(curve([1.0, 0.6, 0.4, 0.3], [0.8, 0.7, 0.75, 0.9]))
    assert finding.since == 3
    assert "since epoch 3" in finding.text.en
    assert "0.700 → 0.900" in finding.text.en


def test_levelling_says_since_when():
    (finding,) = read_dynamics(curve([1.0, 0.6, 0.5, 0.495, 0.492]))
    assert finding.since == 4


def test_creeping_down_without_a_step_of_its_own_is_levelling():
    (finding,) = read_dynamics(curve([1.0, 0.985, 0.97]))
    assert (finding.kind, finding.since) == ("levelling", 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(value):
    (finding,) = read_dynamics(curve([1.0, value, 0.5]))
    assert (finding.kind, finding.since) == ("diverged", 2)
    assert kinds([1.0, 0.9], [1.0, value]) == ["diverged"]


def test_a_rise_of_validation_without_falling_training_is_no_over_fitting():
    assert kinds([1.0, 0.8, 0.95], [0.9, 0.8, 0.9])[0] == "unsteady"
    assert "over-fitting" not in kinds([1.0, 0.8, 0.95], [0.9, 0.8, 0.9])


def test_one_epoch_says_what_cannot_be_read():
    (finding,) = read_dynamics(curve([0.7], [0.6]))
    assert "no trend" in finding.text.en
    assert "0.700" in finding.text.en


def test_the_epoch_of_the_best_metric_is_named_the_first_of_equals():
    found = read_dynamics(curve([1.0, 0.8, 0.7], accuracy=[0.5, 0.7, 0.7]), "accuracy")
    assert (found[-1].kind, found[-1].since) == ("best", 2)


def test_epochs_in_any_order():
    epochs = curve([1.0, 0.6, 0.3], [0.8, 0.7, 0.9])
    assert read_dynamics(epochs[::-1]) == read_dynamics(epochs)


losses = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(losses, st.none() | losses, losses), max_size=8))
def test_any_curve_has_a_reading_in_both_languages(points):
    epochs = [
        Epoch(epoch=i, train_loss=train, validation_loss=validation, metrics={"accuracy": score})
        for i, (train, validation, score) in enumerate(points)
    ]
    found = read_dynamics(epochs, "accuracy")
    assert found
    assert all(finding.text.en and finding.text.fa for finding in found)


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=8))
def test_over_fitting_needs_a_validation_loss(train):
    assert "over-fitting" not in kinds(train)
