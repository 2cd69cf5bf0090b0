"""How much of a photograph a network saw."""

import pytest

from camcli.data.decode.fit import seen_share


@pytest.mark.parametrize(
    ("view", "share"),
    [
        ((0, 0, 200, 100), 1),
        ((50, 0, 150, 100), 0.5),
        ((50, 25, 150, 75), 0.25),
        ((0, -50, 200, 150), 1),  # margins are no photograph
        ((-50, 0, 100, 100), 0.5),
        ((300, 0, 400, 100), 0),
    ],
)
def test_how_much_is_seen_is_a_share_of_the_area(view, share):
    assert seen_share(view, 200, 100) == pytest.approx(share)


def test_how_much_was_seen_is_not_known_of_what_has_no_size():
    assert seen_share(None, 200, 100) is None
    assert seen_share((0, 0, 1, 1), None, 100) is None
    assert seen_share((0, 0, 1, 1), 200, 0) is None
