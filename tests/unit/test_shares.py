"""Shares of a group's traffic: legal weights, modes, and what a service that joins begins with."""

import pytest

from pierhead.core.errors import Invalid
from pierhead.core.shares import WHOLE, Mode, Share, check_weight, in_mode, mode_of, newcomer


@pytest.mark.parametrize("weight", [-1, 0, 1, 1000])
def test_legal_weights(weight: int) -> None:
    assert check_weight(weight) == weight


@pytest.mark.parametrize("weight", [-2, 1001])
def test_other_weights_are_refused_by_name(weight: int) -> None:
    with pytest.raises(Invalid, match=r"Weight.*-1 to 1000"):
        check_weight(weight)


def test_a_group_is_customized_as_soon_as_one_weight_was_set() -> None:
    assert mode_of([]) is Mode.AUTO
    assert mode_of([WHOLE, Share(standalone=True)]) is Mode.AUTO
    assert mode_of([WHOLE, Share(0)]) is Mode.CUSTOMIZED


def test_who_joins_weighted_services_waits_for_a_weight() -> None:
    assert newcomer([]) == newcomer([WHOLE]) == WHOLE
    assert newcomer([WHOLE, Share(1000)]) == Share(0)


def test_weights_begin_with_what_the_replicas_say() -> None:
    assert in_mode(WHOLE, Mode.CUSTOMIZED, 3) == Share(300)
    assert in_mode(WHOLE, Mode.CUSTOMIZED, 30) == Share(1000)
    assert in_mode(Share(7, standalone=True), Mode.CUSTOMIZED, 3) == Share(7, standalone=True)


def test_by_replicas_again_all_weights_are_gone() -> None:
    assert in_mode(Share(7, standalone=True), Mode.AUTO, 3) == Share(standalone=True)
