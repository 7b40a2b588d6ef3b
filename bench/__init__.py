"""Load generators and benchmarks: ``./footlight bench NAME`` runs ``bench.NAME`` and prints a table."""
