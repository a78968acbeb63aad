from __future__ import annotations

from dataclasses import asdict

import pytest

from tarazu.models.fast import Fast, fast, using


def test_everything_is_on_and_can_be_switched_off_for_a_while() -> None:
    assert all(asdict(fast()).values())
    slow = Fast(**dict.fromkeys(asdict(Fast()), False))
    with using(slow):
        assert fast() is slow
        with using(Fast()):
            assert fast() == Fast()
        assert fast() is slow
    assert fast() == Fast()


def test_an_error_switches_nothing_for_good() -> None:
    with pytest.raises(ZeroDivisionError), using(Fast(packed=False)):
        _ = 1 / 0
    assert fast() == Fast()
