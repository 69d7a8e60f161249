"""The differences that are known, each with its reason."""

KNOWN = []
