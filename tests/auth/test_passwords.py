import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from app.auth.passwords import MAX_PASSWORD_LENGTH, hash_password, is_password, needs_rehash


class TestHashPassword:
    def test_uses_argon2id_with_at_least_the_parameters_of_owasp(self):
        parameters = extract_parameters(hash_password("correct horse"))

        assert parameters.type is Type.ID
        assert parameters.memory_cost >= 19 * 1024
        assert parameters.time_cost >= 2

    def test_two_hashes_of_one_password_differ(self):
        assert hash_password("correct horse") != hash_password("correct horse")

    def test_the_hash_does_not_contain_the_password(self):
        assert "correct" not in hash_password("correct horse")


class TestIsPassword:
    @pytest.mark.parametrize(
        "password", ["correct horse", " with spaces ", "пароль 密码 🔑", "x" * MAX_PASSWORD_LENGTH]
    )
    def test_the_password_matches(self, password):
        assert is_password(password, hash_password(password))

    @pytest.mark.parametrize("wrong", ["Correct horse", "correct horse ", "correct hors", ""])
    def test_another_password_does_not_match(self, wrong):
        assert not is_password(wrong, hash_password("correct horse"))

    def test_the_whole_password_counts(self):
        assert not is_password("x" * MAX_PASSWORD_LENGTH, hash_password("x" * (MAX_PASSWORD_LENGTH - 1)))

    @pytest.mark.parametrize("guess", ["", "nobody has this password, and nobody may log in with it"])
    def test_no_password_matches_when_there_is_no_user(self, guess):
        assert not is_password(guess, None)

    @pytest.mark.parametrize("broken", ["", "plain text", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
    def test_a_broken_hash_matches_nothing(self, broken):
        assert not is_password("correct horse", broken)


class TestNeedsRehash:
    def test_todays_parameters_need_no_rehash(self):
        assert not needs_rehash(hash_password("correct horse"))

    def test_weaker_parameters_need_a_rehash(self):
        weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("correct horse")

        assert needs_rehash(weaker)
        assert is_password("correct horse", weaker)
