import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.core.errors import DataError
from xreid.losses.pairing import partners


def test_kth_visible_goes_with_kth_infrared() -> None:
    labels = torch.tensor([7, 7, 7, 7, 2, 2, 2, 2])
    modalities = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0])
    assert partners(labels, modalities).tolist() == [2, 3, 0, 1, 5, 4, 7, 6]


def test_keys_decide_before_positions() -> None:
    labels, modalities = torch.tensor([1, 1, 1, 1]), torch.tensor([0, 0, 1, 1])
    assert partners(labels, modalities, keys=torch.tensor([9, 4, 5, 6])).tolist() == [3, 2, 1, 0]
    assert partners(labels, modalities, keys=torch.tensor([4, 4, 5, 5])).tolist() == [2, 3, 0, 1]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_partners_do_not_depend_on_the_order(num_identities: int, num_clips: int, random: object) -> None:
    clips = [(y, m, k) for y in range(num_identities) for m in (0, 1) for k in range(num_clips)]
    keys = {clip: i for i, clip in enumerate(clips)}
    random.shuffle(clips)  # type: ignore[attr-defined]
    labels, modalities, _ = map(torch.tensor, zip(*clips, strict=True))
    found = partners(labels, modalities, keys=torch.tensor([keys[clip] for clip in clips])).tolist()
    for (y, m, k), partner in zip(clips, found, strict=True):
        assert clips[partner] == (y, 1 - m, k)


@pytest.mark.parametrize(
    ("labels", "modalities", "message"),
    [
        ([1, 1, 1], [0, 0, 1], "2 visible and 1 infrared clips of label 1"),
        ([1, 2], [0, 1], "1 visible and 0 infrared clips of label 1"),
        ([1, 1, 2, 2, 2, 2], [0, 1, 0, 0, 0, 1], "3 visible and 1 infrared clips of label 2"),
        ([1, 1], [0, 0], "2 visible and 0 infrared"),
    ],
)
def test_unequal_counts_are_named(labels: list[int], modalities: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        partners(torch.tensor(labels), torch.tensor(modalities))
