"""Values for property tests: any text, any JSON."""

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # half surrogate pairs as well


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda values: st.lists(values | ANY_TEXT) | st.dictionaries(ANY_TEXT, values | ANY_TEXT),
    max_leaves=8,
)
"""What JSON can express and is no bare text."""
