"""Keyset pagination: one page of a query, the newest or greatest first unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from api import cursors
from api.operations import Page

Selected = TypeVarTuple("Selected")
Column = (
    InstrumentedAttribute[int]
    | InstrumentedAttribute[float]
    | InstrumentedAttribute[str]
    | InstrumentedAttribute[datetime]
    | InstrumentedAttribute[datetime | None]
    | InstrumentedAttribute[UUID]
)


async def fetch(
    session: AsyncSession,
    query: Select[*Selected],
    asked: Page,
    order: str,
    *columns: Column,
    ascending: bool = False,
) -> tuple[list[Row[*Selected]], str | None]:
    """The rows of a page and the cursor behind them.

    `columns` are sorted by, descending unless `ascending`, and together unique; the query selects
    their entities. `order` names the list, so that another list's cursor is refused.
    """
    query = _bounded(query, asked, order, columns, ascending=ascending)
    return _page((await session.execute(query)).all(), asked, order, columns)


async def fetch_narrow(
    session: AsyncSession,
    query: Select[*Selected],
    conditions: Sequence[ColumnElement[bool]],
    asked: Page,
    order: str,
    *columns: Column,
    ascending: bool = False,
) -> tuple[list[Row[*Selected]], str | None]:
    """As `fetch`, of large tables: which rows make the page is found by their keys and `conditions`
    first, for which an index alone may do, and only those rows are read. The last of `columns` is the
    rows' key.
    """
    keys = select(*columns).where(*conditions)
    found = _bounded(keys, asked, order, columns, ascending=ascending).subquery()
    same = [found.c[column.key] for column in columns]
    query = query.join(found, same[-1] == columns[-1])
    query = query.order_by(*_sorted(same, ascending=ascending))
    return _page((await session.execute(query)).all(), asked, order, columns)


def _bounded(
    query: Select[*Selected],
    asked: Page,
    order: str,
    columns: Sequence[Column],
    *,
    ascending: bool,
) -> Select[*Selected]:
    """The rows of one page, and one more."""
    if asked.cursor is not None:
        kinds = [column.type.python_type for column in columns]
        after = cursors.decode(asked.cursor, order, *kinds)
        values = (literal(value, column.type) for value, column in zip(after, columns, strict=True))
        here, there = tuple_(*columns), tuple_(*values)
        behind: ColumnElement[bool] = here > there if ascending else here < there
        query = query.where(behind)
    return query.order_by(*_sorted(columns, ascending=ascending)).limit(asked.limit + 1)


def _sorted(columns: Iterable[Any], *, ascending: bool) -> Iterator[Any]:
    return (column.asc() if ascending else column.desc() for column in columns)


def _page(
    found: Sequence[Row[*Selected]], asked: Page, order: str, columns: Sequence[Column]
) -> tuple[list[Row[*Selected]], str | None]:
    rows = list(found[: asked.limit])
    more = len(found) > asked.limit
    cursor = cursors.encode(order, *(_value(rows[-1], c) for c in columns)) if more else None
    return rows, cursor


def _value(row: Sequence[Any], column: Column) -> cursors.Key:
    kind: type[Any] = column.parent.class_
    entity = next(part for part in row if isinstance(part, kind))
    value: cursors.Key = getattr(entity, column.key)
    return value
