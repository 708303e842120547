"""Clothes, hair and accessories: cut and layout are shared by both spectra, reflectances are not.

The near-infrared reflectance of dyed cloth depends on fibre and dye, not on the colour one sees: black
cotton is often bright, a navy nylon jacket dark. So every material draws it independently of its colour.
What both spectra share is structure: cut, seams, panels, and prints where the dye absorbs in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Visible colours of cloth, sRGB 0..255.
PALETTE = (
    (235, 235, 230), (210, 208, 200), (24, 24, 28), (40, 42, 48), (92, 95, 100), (150, 152, 155),
    (28, 36, 66), (44, 70, 130), (96, 140, 190), (150, 30, 36), (196, 52, 50), (222, 130, 150),
    (36, 80, 52), (96, 120, 70), (70, 150, 130), (196, 170, 120), (140, 105, 70), (82, 56, 40),
    (226, 190, 60), (214, 120, 40), (100, 60, 120), (176, 160, 200),
)  # fmt: skip

LUMINANCE = (0.114, 0.587, 0.299)  # of blue, green, red

UPPER_PATTERNS = (
    "plain",
    "bars",
    "yoke",
    "band",
    "hem",
    "halves",
    "sash",
    "logo",
    "check",
    "sides",
    "pinstripe",
)
UPPER_SHARES = (0.10, 0.16, 0.13, 0.12, 0.09, 0.08, 0.08, 0.10, 0.05, 0.06, 0.03)
LOWER_PATTERNS = ("plain", "stripe", "split", "cuff", "bars")
LOWER_SHARES = (0.44, 0.17, 0.16, 0.13, 0.10)
UPPER_KINDS = ("tee", "shirt", "sweater", "jacket", "coat", "vest")
UPPER_KIND_SHARES = (0.3, 0.14, 0.18, 0.16, 0.12, 0.10)
LOWER_KINDS = ("trousers", "slim", "wide", "shorts", "skirt")
LOWER_KIND_SHARES = (0.27, 0.15, 0.14, 0.23, 0.21)
HAIR_STYLES = ("bald", "short", "medium", "long", "bun", "tail", "curly")
HAIR_SHARES = (0.06, 0.32, 0.14, 0.18, 0.09, 0.12, 0.09)
HATS = ("none", "cap", "beanie", "brim", "hood")
HAT_SHARES = (0.62, 0.13, 0.1, 0.07, 0.08)
BAGS = ("none", "backpack", "crossbody", "handbag", "waist")
BAG_SHARES = (0.36, 0.24, 0.18, 0.14, 0.08)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A surface in both spectra.

    Attributes:
        colour: Displayed blue, green, red under white light, 0..1.
        nir: Displayed brightness under the near-infrared illuminator, 0..1; independent of the colour.
    """

    colour: tuple[float, float, float]
    nir: float

    def array(self) -> np.ndarray:
        """float32 [4]: blue, green, red, near infrared."""
        return np.array([*self.colour, self.nir], np.float32)


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Where the second material of a garment lies; the same in both spectra.

    Attributes:
        kind: One of UPPER_PATTERNS or LOWER_PATTERNS.
        count: Repeats of what repeats.
        place: Position, 0..1.
        size: Extent, 0..1.
        shape: Outline of a logo: 0 disc, 1 box, 2 ring, 3 triangle.
        side: +1 or -1 for what has a side.
    """

    kind: str
    count: int
    place: float
    size: float
    shape: int
    side: int


@dataclass(frozen=True, kw_only=True)
class Garment:
    """A piece of clothing.

    Attributes:
        kind: One of UPPER_KINDS or LOWER_KINDS.
        base: Main material.
        second: Material of the pattern.
        pattern: Where the second material lies.
        fit: Factor on the girth of the body below, 1 = tight.
        length: Upper: how far below the waist it reaches, in metres. Lower: share of the leg covered.
        sleeve: Upper: share of the arm covered.
        sleeve_style: Upper: 0 like the base, 1 all second, 2 cuffs second, 3 upper half second.
        opening: Upper: width of the open front as a share of the round, 0 = closed.
        inner: What shows in the opening and at the neck.
        neck: Upper: depth of the neckline in metres; negative: a high collar.
        folds: Strength of the folds.
    """

    kind: str
    base: Material
    second: Material
    pattern: Pattern
    fit: float
    length: float
    sleeve: float = 0.0
    sleeve_style: int = 0
    opening: float = 0.0
    inner: Material
    neck: float = 0.0
    folds: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """Everything worn or carried.

    Attributes:
        upper: The upper garment; a coat covers the lower one.
        lower: The lower garment.
        hair: One of HAIR_STYLES.
        hair_material: Reflectance of the hair.
        hair_volume: Extra radius as a share of the head.
        hat: One of HATS.
        hat_material: Reflectance of the hat.
        bag: One of BAGS.
        bag_material: Reflectance of the bag.
        bag_size: Factor on its size.
        bag_side: +1 left, -1 right.
        shoe: Reflectance of the shoes.
        sole: Reflectance of their soles.
        boot: Height of the shoe's shaft as a share of the shin, 0 = low.
        sock: Reflectance of the socks.
        sock_height: As a share of the shin.
        scarf: Reflectance of a scarf, or None.
    """

    upper: Garment
    lower: Garment
    hair: str
    hair_material: Material
    hair_volume: float
    hat: str
    hat_material: Material
    bag: str
    bag_material: Material
    bag_size: float
    bag_side: int
    shoe: Material
    sole: Material
    boot: float
    sock: Material
    sock_height: float
    scarf: Material | None


def cloth_material(rng: np.random.Generator, spread: float = 1.0) -> Material:
    """Cloth of a random colour and, independently, a random near-infrared reflectance.

    Most cloth is middling in both: undyed fibre is bright in near infrared and few dyes absorb there.
    `spread` scales how far from it cloth may be.
    """
    common, dark, bright = rng.normal(0.44, 0.05 * spread), rng.uniform(0.12, 0.22), rng.uniform(0.62, 0.78)
    nir = float(rng.choice([common, dark, bright], p=[1 - 0.1 * spread, 0.05 * spread, 0.05 * spread]))
    return _coloured(rng, float(np.clip(rng.normal(0.38, 0.06 * spread), 0.2, 0.6)), nir)


def _coloured(rng: np.random.Generator, luminance: float, nir: float) -> Material:
    """A material of a random hue with the given luminance."""
    red, green, blue = (
        np.clip(np.array(PALETTE[rng.integers(len(PALETTE))]) + rng.normal(0, 9, 3), 8, 245) / 255
    )
    colour = np.array([blue, green, red])
    colour *= luminance / float(np.dot(colour, LUMINANCE))
    peak = float(colour.max())
    if peak > 0.95:  # too bright for so pure a hue: add white instead
        white = min(1.0, (peak - 0.95) / max(peak - luminance, 1e-3))
        colour = colour * (1 - white) + luminance * white
    return Material(colour=(float(colour[0]), float(colour[1]), float(colour[2])), nir=nir)


@dataclass(frozen=True, kw_only=True)
class Dyes:
    """How far a print keeps its look from one spectrum to the other.

    Attributes:
        shown: Chance that a second material stands out in near infrared at all.
        kept: Chance that what is lighter in the visible is lighter in near infrared too (white pigment and
            carbon black are light and dark in both; other dyes are a matter of chance).
        spread: How far base cloth may differ in brightness, independently in each spectrum: 1 as usual, 0 all
            middling.
        plain: Factor on the share of garments without a pattern: 1 as usual, 0 none.
    """

    shown: float
    kept: float
    spread: float
    plain: float


def contrasting(rng: np.random.Generator, base: Material, dyes: Dyes) -> Material:
    """A cloth that stands out from `base` in the visible and, as the dyes have it, in near infrared."""
    own = _luminance(base)
    light, dark = float(rng.uniform(0.72, 0.9)), float(rng.uniform(0.06, 0.16))
    lighter = rng.random() < (0.7 if own < 0.5 else 0.2)
    if rng.random() > dyes.shown:  # the dye is transparent in near infrared: only the cloth is seen
        nir = base.nir + rng.normal(0, 0.02)
    else:
        brighter = lighter == (rng.random() < dyes.kept)
        nir = base.nir + float(rng.uniform(0.26, 0.38)) * (1 if brighter else -1)
    return _coloured(rng, light if lighter else dark, float(np.clip(nir, 0.06, 0.97)))


def _luminance(material: Material) -> float:
    return float(np.dot(material.colour, LUMINANCE))


def skin_material(rng: np.random.Generator) -> Material:
    """Skin: many tones in the visible, always bright in near infrared (melanin hardly absorbs there)."""
    light, dark = np.array([0.56, 0.67, 0.85]), np.array([0.16, 0.24, 0.37])
    tone = rng.beta(1.2, 2.2)
    blue, green, red = light * (1 - tone) + dark * tone
    return Material(colour=(float(blue), float(green), float(red)), nir=float(0.74 - 0.06 * tone))


def hair_material(rng: np.random.Generator) -> Material:
    """Hair: black, brown, fair, grey; dark to mid grey in near infrared."""
    tones = ((18, 18, 20), (34, 26, 22), (60, 42, 30), (96, 66, 42), (150, 118, 76), (140, 138, 136))
    red, green, blue = np.array(tones[int(rng.choice(6, p=[0.32, 0.26, 0.18, 0.1, 0.08, 0.06]))]) / 255
    return Material(
        colour=(float(blue), float(green), float(red)),
        nir=float(np.clip(rng.normal(0.24, 0.06) + 0.25 * (red > 0.4), 0.12, 0.6)),
    )


def draw_outfit(rng: np.random.Generator, common: np.random.Generator, *, difficulty: float) -> Outfit:
    """An outfit; the higher the difficulty, the more of it is the uniform drawn from `common`."""
    uniformity = max(0.0, (difficulty - 0.3) / 0.7)
    easy = max(0.0, 1 - difficulty / 0.3)
    dyes = Dyes(
        shown=0.94 + 0.06 * easy - 0.6 * uniformity,
        kept=0.9 + 0.1 * easy - 0.4 * uniformity,
        spread=1 - 0.7 * easy,
        plain=1 - 0.7 * easy,
    )
    draw = _Draw(rng, common, uniformity)
    upper = _draw_upper(draw, dyes=dyes)
    lower = _draw_lower(draw, dyes=dyes)
    hair = hair_material(rng)
    hat = draw(lambda g: str(g.choice(HATS, p=HAT_SHARES)))
    return Outfit(
        upper=upper,
        lower=lower,
        hair=str(rng.choice(HAIR_STYLES, p=HAIR_SHARES)),
        hair_material=hair,
        hair_volume=float(rng.uniform(0.05, 0.16)),
        hat=hat,
        hat_material=upper.base if hat == "hood" else draw(lambda g: contrasting(g, hair, dyes)),
        bag=draw(lambda g: str(g.choice(BAGS, p=BAG_SHARES))),
        bag_material=draw(lambda g: contrasting(g, upper.base, dyes)),
        bag_size=draw(lambda g: float(g.uniform(0.75, 1.25))),
        bag_side=draw(lambda g: int(g.choice([-1, 1]))),
        shoe=draw(lambda g: contrasting(g, lower.base, dyes)),
        sole=draw(lambda g: cloth_material(g, dyes.spread)),
        boot=draw(lambda g: float(g.choice([0.0, g.uniform(0.35, 0.9)], p=[0.8, 0.2]))),
        sock=draw(lambda g: cloth_material(g, dyes.spread)),
        sock_height=draw(lambda g: float(g.choice([0.06, g.uniform(0.4, 0.85)], p=[0.6, 0.4]))),
        scarf=draw(lambda g: cloth_material(g, dyes.spread) if g.random() < 0.1 else None),
    )


class _Draw:
    """Draws an attribute from the person's generator or, with the given chance, from the uniform."""

    def __init__(self, own: np.random.Generator, common: np.random.Generator, uniformity: float) -> None:
        self.own, self.common, self.uniformity = own, common, uniformity

    def __call__(self, attribute: Callable[[np.random.Generator], Any]) -> Any:
        """The attribute; both generators advance, so that the uniform is one and the same for all."""
        shared = np.random.default_rng(self.common.integers(2**62))
        value, worn = attribute(self.own), attribute(shared)
        return worn if self.own.random() < self.uniformity else value


def _pattern(
    rng: np.random.Generator, kinds: tuple[str, ...], shares: tuple[float, ...], dyes: Dyes
) -> Pattern:
    weights = np.array(shares)
    weights[kinds.index("plain")] *= dyes.plain
    return Pattern(
        kind=str(rng.choice(kinds, p=weights / weights.sum())),
        count=int(rng.integers(2, 6)),
        place=float(rng.random()),
        size=float(rng.random()),
        shape=int(rng.integers(4)),
        side=int(rng.choice([-1, 1])),
    )


def _draw_upper(draw: _Draw, *, dyes: Dyes) -> Garment:
    def make(rng: np.random.Generator) -> Garment:
        kind = str(rng.choice(UPPER_KINDS, p=UPPER_KIND_SHARES))
        base = cloth_material(rng, dyes.spread)
        second = contrasting(rng, base, dyes)
        sleeve = {"tee": rng.uniform(0.18, 0.42), "vest": 0.0}.get(kind, rng.uniform(0.9, 1.0))
        if kind == "shirt" and rng.random() < 0.5:
            sleeve = rng.uniform(0.45, 0.6)
        open_front = kind in ("jacket", "coat") and rng.random() < 0.55
        length = {"coat": rng.uniform(0.45, 0.75)}.get(kind, rng.uniform(0.06, 0.26))
        return Garment(
            kind=kind,
            base=base,
            second=second,
            pattern=_pattern(rng, UPPER_PATTERNS, UPPER_SHARES, dyes),
            fit=float(
                {"tee": 1.05, "vest": 1.02, "jacket": 1.16, "coat": 1.18}.get(kind, 1.1)
                * rng.uniform(0.97, 1.1)
            ),
            length=float(length),
            sleeve=float(sleeve),
            sleeve_style=int(rng.choice(4, p=[0.5, 0.24, 0.14, 0.12])),
            opening=float(rng.uniform(0.1, 0.2)) if open_front else 0.0,
            inner=contrasting(rng, base, dyes),
            neck=float({"vest": 0.09, "sweater": -0.02, "jacket": -0.03, "coat": -0.03}.get(kind, 0.05)),
            folds=float({"sweater": 0.09, "coat": 0.1}.get(kind, 0.13) * rng.uniform(0.7, 1.3)),
        )

    garment: Garment = draw(make)
    return garment


def _draw_lower(draw: _Draw, *, dyes: Dyes) -> Garment:
    def make(rng: np.random.Generator) -> Garment:
        kind = str(rng.choice(LOWER_KINDS, p=LOWER_KIND_SHARES))
        base = cloth_material(rng, dyes.spread)
        length = {"shorts": rng.uniform(0.3, 0.56), "skirt": rng.uniform(0.3, 0.88)}.get(kind, 0.985)
        if kind == "slim" and rng.random() < 0.3:
            length = rng.uniform(0.75, 0.9)
        fit = {"slim": 1.02, "trousers": 1.14, "wide": 1.4, "shorts": 1.25, "skirt": 1.05}[kind]
        return Garment(
            kind=kind,
            base=base,
            second=contrasting(rng, base, dyes),
            pattern=_pattern(rng, LOWER_PATTERNS, LOWER_SHARES, dyes),
            fit=float(fit * rng.uniform(0.96, 1.1)),
            length=float(length),
            inner=base,
            folds=float(rng.uniform(0.06, 0.15)),
        )

    garment: Garment = draw(make)
    return garment
