"""One database, one schema, one set of models.

`docs/architecture.md` says which service writes which table.
"""
