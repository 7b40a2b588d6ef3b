"""Tests of ingest on a whole instance. A package: what they share ends with the last of them."""
