"""Ids that carry the text of their items, and nothing else that looks like one."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.responses.item_ids import LONGEST_ID, LONGEST_TEXT_BYTES, Carried, Ids, Kind, read_id
from tests.unit.api.responses.translating import SEED

texts = st.text() | st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["msg", "rs"])


@given(kinds, texts)
def test_a_text_is_read_from_its_id(kind: Kind, text: str) -> None:
    item_id = Ids(SEED).carrying(kind, text)

    assert read_id(item_id) == Carried(kind, text, {})
    assert item_id.startswith(f"{kind}_")
    assert item_id.replace("_", "").replace("-", "").isalnum()


@given(st.dictionaries(st.sampled_from(["msg_1", "rs_1", "msg_2"]), texts, min_size=1))
def test_an_item_carries_the_texts_of_others(others: dict[str, str]) -> None:
    item_id = Ids(SEED).carrying_others(others)

    assert item_id is not None
    assert read_id(item_id) == Carried("rs", "", others)


def test_nothing_to_carry() -> None:
    assert Ids(SEED).carrying_others({}) is None


def test_equal_texts_of_one_response_have_different_ids() -> None:
    ids = Ids(SEED)
    made = [ids.carrying("msg", "same"), ids.carrying("msg", "same"), ids.plain("msg"), ids.plain("msg")]

    assert len(set(made)) == 4


def test_equal_texts_of_two_responses_have_different_ids() -> None:
    assert Ids(SEED).carrying("msg", "same") != Ids(SEED[::-1]).carrying("msg", "same")


def incompressible(size: int) -> str:
    """Text of which deflating saves a quarter at most."""
    state = 1
    out: list[str] = []
    while len(out) * 8 < size:
        state = state * 6364136223846793005 % 2**64
        out.append(base64.b64encode(state.to_bytes(8, "big"))[:8].decode())
    return "".join(out)[:size]


def test_the_longest_id_is_24_kilobytes() -> None:
    assert len(Ids(SEED).carrying("msg", incompressible(20_000))) > 15_000
    for size in (24_400, 30_000, 200_000):
        item_id = Ids(SEED).carrying("msg", incompressible(size))
        assert len(item_id) <= LONGEST_ID
        assert read_id(item_id) in (None, Carried("msg", incompressible(size), {}))
    assert read_id(Ids(SEED).carrying("msg", incompressible(200_000))) is None
    assert Ids(SEED).carrying_others({"msg_1": incompressible(200_000)}) is None


def test_a_short_id_does_not_become_a_huge_text() -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(b"x" * (LONGEST_TEXT_BYTES + 1))).rstrip(b"=").decode()
    body = f"01234567{bomb}"

    assert read_id(f"msg_q1{zlib.crc32(body.encode()):08x}{body}") is None
    assert read_id(Ids(SEED).carrying("msg", "x" * LONGEST_TEXT_BYTES)) is not None


@given(st.data(), texts)
def test_a_damaged_id_is_not_read(data: st.DataObject, text: str) -> None:
    item_id = Ids(SEED).carrying("msg", text)
    place = data.draw(st.integers(0, len(item_id) - 1))
    other = data.draw(st.sampled_from("aZ_-0é"))

    for damaged in (item_id[:place], item_id[:place] + other + item_id[place + 1 :], item_id + other):
        assert damaged == item_id or read_id(damaged) is None


@pytest.mark.parametrize(
    "item_id",
    ["", "msg", "msg_", "msg_q1", "rs_q2", "msg_68a1f0", Ids(SEED).plain("msg"), "fc_q1", "q1", "msg_q1é"],
)
def test_a_plain_or_foreign_id_carries_nothing(item_id: str) -> None:
    assert read_id(item_id) is None


@given(st.text())
def test_any_id_may_be_asked_for(item_id: str) -> None:
    body = f"01234567{item_id}"
    read_id(item_id)
    if body.isascii():
        assert read_id(f"rs_q2{zlib.crc32(body.encode()):08x}{body}") is None
