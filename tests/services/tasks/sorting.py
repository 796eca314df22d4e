"""Orders of lists."""

from hypothesis import strategies as st

from app.queries.tasks import MAX_SORT_KEYS, SORT_KEYS

# One to three keys, each in any direction. The id stands only at the end.
sorts = st.builds(
    lambda first, last, signs: tuple(
        sign + key for sign, key in zip(signs, dict.fromkeys([*first, last]), strict=False)
    ),
    st.lists(st.sampled_from([key for key in SORT_KEYS if key != "id"]), unique=True, max_size=MAX_SORT_KEYS - 1),
    st.sampled_from(SORT_KEYS),
    st.lists(st.sampled_from(["", "-"]), min_size=MAX_SORT_KEYS, max_size=MAX_SORT_KEYS),
)
