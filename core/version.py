"""Which release this is."""

#: As in pyproject.toml, which is not there where only the code was copied.
RELEASE = "0.1.0"
