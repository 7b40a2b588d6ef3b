"""The fault suite. A package: what its tests share ends with the last of them."""
