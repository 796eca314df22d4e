"""The version of this release. pyproject.toml names the same, and a guard compares the two."""

VERSION = "0.1.0"
