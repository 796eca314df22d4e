import re
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.api_tokens import ALPHABET, RANDOM_LENGTH, checksum_of, digest_of, new_token
from app.auth.tokens import TokenInvalidError
from tests.unhurried import UNHURRIED

# Written down, because a change of the format would refuse the tokens that scripts have.
KNOWN = "ttp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0l6C6Z"
KNOWN_DIGEST = "8c4a803201400c12567c68a9c0d3d5f165b07806f49c90ca51ef1f561b58dfa4"


class TestNewToken:
    def test_is_recognised_by_a_secret_scanner(self):
        assert re.fullmatch(r"ttp_[0-9A-Za-z]{39}", new_token())

    def test_has_at_least_192_random_bits(self):
        assert len(set(ALPHABET)) == 62
        assert 62**RANDOM_LENGTH >= 2**192

    def test_is_never_the_same_twice(self):
        assert len({new_token() for _ in range(1000)}) == 1000

    def test_can_be_read(self):
        assert len(digest_of(new_token())) == 32


class TestChecksum:
    @given(random=st.text(ALPHABET, min_size=RANDOM_LENGTH, max_size=RANDOM_LENGTH))
    @UNHURRIED
    def test_is_the_crc_32_in_base_62(self, random):
        value = 0
        for digit in checksum_of(random):
            value = value * 62 + ALPHABET.index(digit)

        assert value == zlib.crc32(random.encode())

    def test_always_has_six_characters(self):
        # The CRC-32 of nothing is zero.
        assert checksum_of("") == "000000"


class TestDigestOf:
    def test_stays_what_it_was(self):
        assert digest_of(KNOWN).hex() == KNOWN_DIGEST

    def test_is_different_for_each_token(self):
        assert digest_of(new_token()) != digest_of(new_token())

    @pytest.mark.parametrize("position", range(len("ttp_"), len(KNOWN)))
    def test_a_mistyped_character_is_noticed(self, position):
        other = "B" if KNOWN[position] != "B" else "C"

        with pytest.raises(TokenInvalidError):
            digest_of(KNOWN[:position] + other + KNOWN[position + 1 :])

    def test_two_swapped_characters_are_noticed(self):
        token = next(token for token in iter(new_token, None) if token[10] != token[11])

        with pytest.raises(TokenInvalidError):
            digest_of(token[:10] + token[11] + token[10] + token[12:])

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "ttp_",
            KNOWN[4:],
            KNOWN[:-1],
            KNOWN + "0",
            KNOWN + "\n",
            " " + KNOWN,
            KNOWN.upper(),
            KNOWN.replace("ttp_", "TTP_"),
            KNOWN.replace("ttp_", "ghp_"),
            KNOWN.replace("_", "-"),
            KNOWN[:-1] + "é",
            KNOWN[:-1] + "٣",
            KNOWN[:-1] + "\x00",
            KNOWN[:20] + "-" + KNOWN[21:],
            KNOWN[:20] + "_" + KNOWN[21:],
        ],
    )
    def test_text_of_another_form_is_refused(self, text):
        with pytest.raises(TokenInvalidError):
            digest_of(text)

    def test_the_alphabet_has_no_character_that_ends_a_word(self):
        assert set(ALPHABET) == set(string.ascii_letters + string.digits)
