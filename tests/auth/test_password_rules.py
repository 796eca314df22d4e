import hashlib
import re
from pathlib import Path

import pytest

from app.auth import password_rules
from app.auth.password_rules import PasswordRules, is_guessable

ADA = {"username": "ada.lovelace", "email": "ada@analytical-engines.example"}


class TestIsGuessable:
    @pytest.mark.parametrize(
        "password",
        [
            "password",
            "Password1!",
            "P@ssw0rd!",
            "passwordpassword",
            "sunshine99",
            "letmein123",
            "monkey-12",
            "qwertyuiop",
            "12345678",
            "23456789",
            "hgfedcba",
            "aaaaaaaa",
            "a" * 128,
            "TaskTracker",
            "TaskTrackerPro2026!",
            "lovelace1815",
            "Lovelace-Ada-1",
            "analytical-engines",
            "ada@analytical-engines.example",
        ],
    )
    def test_a_password_that_attackers_try_first_is_guessable(self, password):
        assert is_guessable(password, **ADA)

    @pytest.mark.parametrize(
        "password",
        [
            "correct horse battery",
            "a-long-password",
            "kW9x-2fQ",
            "x9284751!!",
            "ada and the 3 engines",
            "пароль из слов",
        ],
    )
    def test_other_passwords_are_not_guessable(self, password):
        assert not is_guessable(password, **ADA)

    def test_a_user_without_an_address_adds_no_word(self):
        assert not is_guessable("x9284751!!", username="ada", email=None)


class TestPasswordRules:
    RULES = PasswordRules(min_length=12)

    def test_a_long_password_that_nobody_guesses_is_allowed(self):
        assert self.RULES.problem_with("x9284751!!-q", **ADA) is None

    def test_the_length_is_counted_in_characters(self):
        assert self.RULES.problem_with("пароль слов", **ADA) == "must have at least 12 characters"
        assert self.RULES.problem_with("пароль словы", **ADA) is None

    def test_a_letter_and_its_accent_are_one_character(self):
        decomposed = "kW9x-2fQ-" + "e\u0301" * 2

        assert len(decomposed) == 13
        assert self.RULES.problem_with(decomposed, **ADA) == "must have at least 12 characters"

    def test_an_operator_may_ask_for_more(self):
        assert PasswordRules(min_length=20).problem_with("x9284751!!-q", **ADA) == "must have at least 20 characters"

    @pytest.mark.parametrize("name", ["ada.lovelace", "ADA.Lovelace", "Ada@Analytical-Engines.example"])
    def test_the_username_and_the_address_are_refused_in_any_case(self, name):
        assert self.RULES.problem_with(name, **ADA) == "must not be the username or email address"

    @pytest.mark.parametrize("guessable", ["password1234", "Lovelace1815"])
    def test_a_guessable_password_in_wide_letters_is_guessable(self, guessable):
        wide = guessable.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})

        assert "too easy to guess" in self.RULES.problem_with(wide, **ADA)


class TestTheList:
    def test_is_the_one_that_its_checksum_names(self):
        text = Path(password_rules.__file__).with_name("common_passwords.txt").read_text("utf-8")
        comments = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))

        digest = hashlib.sha256(text.removeprefix(comments).encode()).hexdigest()

        assert re.search(r"SHA-256 of the lines below: (\w+)", comments)[1] == digest
        assert len(text.splitlines()) > 10_000
