from __future__ import annotations

import numpy as np

from xreid.simulation.identity import draw_person
from xreid.simulation.wardrobe import LUMINANCE, Dyes, cloth_material, contrasting


def test_a_person_depends_on_seed_and_name_only() -> None:
    assert draw_person(1, "train-0", difficulty=0.3) == draw_person(1, "train-0", difficulty=0.3)
    assert draw_person(1, "train-0", difficulty=0.3) != draw_person(1, "test-0", difficulty=0.3)
    assert draw_person(1, "train-0", difficulty=0.3) != draw_person(2, "train-0", difficulty=0.3)


def test_infrared_reflectance_of_cloth_is_independent_of_its_colour() -> None:
    rng = np.random.default_rng(0)
    cloth = [cloth_material(rng) for _ in range(4000)]
    nir = np.array([c.nir for c in cloth])
    colours = np.array([c.colour for c in cloth])
    lightness = colours @ np.array(LUMINANCE)
    saturation = np.ptp(colours, axis=1)
    for seen in (*colours.T, lightness, saturation):
        assert abs(np.corrcoef(seen, nir)[0, 1]) < 0.05


def test_prints_show_in_infrared_as_often_as_the_dyes_say() -> None:
    rng = np.random.default_rng(1)
    base = cloth_material(rng)
    for chance in (0.0, 0.5, 1.0):
        prints = [
            contrasting(rng, base, Dyes(shown=chance, kept=0.9, spread=1.0, plain=1.0)) for _ in range(500)
        ]
        shown = np.mean([abs(p.nir - base.nir) > 0.1 for p in prints])
        assert abs(shown - chance) < 0.08
        own = np.dot(base.colour, LUMINANCE)
        assert all(abs(np.dot(p.colour, LUMINANCE) - own) > 0.15 for p in prints)  # seen in the visible


def test_easy_clothes_differ_in_structure_and_hardly_in_brightness() -> None:
    def drawn(difficulty: float) -> tuple[float, float]:
        people = [draw_person(0, f"train-{i}", difficulty=difficulty) for i in range(150)]
        garments = [g for p in people for g in (p.outfit.upper, p.outfit.lower)]
        plain = np.mean([g.pattern.kind == "plain" for g in garments])
        return float(plain), float(np.std([g.base.nir for g in garments]))

    (plain, spread), (plain_usual, spread_usual) = drawn(0.0), drawn(0.3)
    assert plain < 0.5 * plain_usual
    assert spread < 0.75 * spread_usual


def test_skin_is_bright_in_infrared_whatever_its_tone() -> None:
    people = [draw_person(0, f"train-{i}", difficulty=0.3) for i in range(60)]
    tones = [np.dot(p.body.skin.colour, LUMINANCE) for p in people]
    assert max(tones) - min(tones) > 0.25
    assert min(p.body.skin.nir for p in people) > 0.6


def test_difficulty_makes_people_alike() -> None:
    def different(difficulty: float) -> int:
        people = [draw_person(0, f"train-{i}", difficulty=difficulty) for i in range(40)]
        return len({(p.outfit.upper, p.outfit.lower, p.outfit.bag) for p in people})

    def spread(difficulty: float) -> float:
        return float(np.std([draw_person(0, f"t-{i}", difficulty=difficulty).body.girth for i in range(40)]))

    assert different(0.3) == 40
    assert different(1.0) == 1  # one uniform for all
    assert spread(1.0) < 0.5 * spread(0.3)
