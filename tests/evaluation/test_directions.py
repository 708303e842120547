import pytest

from xreid.core.errors import ConfigError
from xreid.evaluation.directions import ALL, I2I, I2V, V2I, V2V, Direction


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("I2V", I2V),
        ("v2i", V2I),
        ("ir->vis", I2V),
        (" vis -> ir ", V2I),
        ("V2V", V2V),
        ("ir->ir", I2I),
        ("all->all", ALL),
        ("ir->all", Direction(I2V.query, None)),
    ],
)
def test_directions_are_read(text: str, direction: Direction) -> None:
    assert Direction.parse(text) == direction
    assert Direction.parse(direction.name) == direction


@pytest.mark.parametrize("text", ["", "I2X", "vis", "vis->rgb", "I2V2I", "->", "2", "vis->ir->vis"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no such direction"):
        Direction.parse(text)


def test_names() -> None:
    assert [d.name for d in (I2V, V2I, V2V, ALL)] == ["I2V", "V2I", "vis->vis", "all->all"]
    assert [d.crosses for d in (I2V, V2I, V2V, ALL)] == [True, True, False, False]
