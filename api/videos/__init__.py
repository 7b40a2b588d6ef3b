"""Videos: the catalogue, their settings, how far one has watched them, and their chat."""
