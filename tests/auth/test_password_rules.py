import pytest

from app.auth.password_rules import is_guessable

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
