"""Keyset pagination: one page of a query, the newest or greatest first unless said otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, literal, tuple_
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
    if asked.cursor is not None:
        kinds = [column.type.python_type for column in columns]
        after = cursors.decode(asked.cursor, order, *kinds)
        values = (literal(value, column.type) for value, column in zip(after, columns, strict=True))
        here, there = tuple_(*columns), tuple_(*values)
        behind: ColumnElement[bool] = here > there if ascending else here < there
        query = query.where(behind)
    sorted_by = (column.asc() if ascending else column.desc() for column in columns)
    query = query.order_by(*sorted_by).limit(asked.limit + 1)
    rows = list((await session.execute(query)).all())
    more = len(rows) > asked.limit
    rows = rows[: asked.limit]
    cursor = cursors.encode(order, *(_value(rows[-1], c) for c in columns)) if more else None
    return rows, cursor


def _value(row: Sequence[Any], column: Column) -> cursors.Key:
    kind: type[Any] = column.parent.class_
    entity = next(part for part in row if isinstance(part, kind))
    value: cursors.Key = getattr(entity, column.key)
    return value
