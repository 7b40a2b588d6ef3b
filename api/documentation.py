"""`/api/openapi.json`, and `/api/docs`: the same document as a page, without a line of script."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from aiohttp import web

from api.openapi import Document, document, title_of
from api.operations import Operation
from core.instance_settings import CurrentSettings
from core.settings import Settings

_STYLE = """\
:root{color-scheme:dark light;--bg:#0e0e13;--panel:#17171f;--line:#2b2b38;--text:#ececf3;--quiet:#a3a3b5;--accent:#a99bff}
@media (prefers-color-scheme:light){:root{--bg:#fff;--panel:#f6f6fa;--line:#dcdce6;--text:#17171c;--quiet:#5c5c6b;--accent:#4c3bd1}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.6 system-ui,sans-serif}
.page{display:grid;grid-template-columns:17rem minmax(0,1fr);max-width:78rem;margin:0 auto}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;border-right:1px solid var(--line)}
nav h2{margin:1.25rem 0 .25rem;font-size:.8rem;color:var(--quiet);text-transform:uppercase;letter-spacing:.06em}
nav ul{list-style:none;margin:0;padding:0}
nav a{display:block;padding:.2rem .4rem;border-radius:.4rem;color:var(--text);text-decoration:none;font-size:.92rem}
nav a:hover{background:var(--panel)}
main{padding:2rem clamp(1rem,4vw,3rem) 6rem;min-width:0}
a{color:var(--accent)}
a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
h1{font-size:2rem;line-height:1.2;margin:0 0 1rem}
h2.area{margin:3rem 0 1rem;font-size:1.4rem}
section{background:var(--panel);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem;margin:0 0 1.25rem;scroll-margin-top:1rem}
section h3{margin:0;font-size:1.1rem}
.call{margin:.35rem 0 .75rem;font-size:.95rem;overflow-wrap:anywhere}
.method{font-weight:700;color:var(--accent);margin-right:.5rem}
h4{margin:1.25rem 0 .4rem;font-size:.95rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
.wide{overflow-x:auto}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-top:1px solid var(--line)}
th{font-weight:600}
td p{margin:0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.88em}
pre{background:var(--bg);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;overflow:auto}
.quiet{color:var(--quiet)}
summary{cursor:pointer;padding:.25rem 0}
@media (max-width:52rem){.page{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}nav ul{columns:2 11rem}}
"""  # noqa: E501


@dataclass(frozen=True)
class _File:
    """What is answered at one address."""

    kind: str
    body: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, text: str, kind: str) -> _File:
        body = text.encode()
        digest = hashlib.sha256(body).hexdigest()[:20]
        return cls(kind, body, gzip.compress(body, 9, mtime=0), digest)


def add_routes(
    app: web.Application,
    operations: Sequence[Operation],
    settings: Settings,
    current: CurrentSettings,
) -> None:
    """Serve the document and the page; both are made once for each name the site has."""
    content = document(operations, settings)
    made: dict[str, dict[str, _File]] = {}

    def files() -> dict[str, _File]:
        title = title_of(current.now.instance_name)
        if title not in made:
            made.clear()
            content["info"]["title"] = title
            made[title] = {
                "/api/openapi.json": _File.of(
                    json.dumps(content, separators=(",", ":")), "application/json"
                ),
                "/api/docs": _File.of(page(content), "text/html"),
                "/api/docs/style.css": _File.of(_STYLE, "text/css"),
            }
        return made[title]

    for path in files():
        app.router.add_get(path, _static(path, files))


def _static(path: str, files: Callable[[], dict[str, _File]]) -> Any:
    async def handle(request: web.Request) -> web.Response:
        file = files()[path]
        kind, etag = file.kind, file.etag
        headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"}
        headers["ETag"] = f'W/"{etag}"'
        if kind == "text/html":
            # Nothing but our own style sheet; the page has no script.
            headers["Content-Security-Policy"] = (
                "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'"
            )
        if any(tag.value == etag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(
                body=file.packed, content_type=kind, charset="utf-8", headers=headers
            )
        return web.Response(body=file.body, content_type=kind, charset="utf-8", headers=headers)

    return handle


def page(content: Document) -> str:
    """The document as HTML."""
    info = content["info"]
    areas = _by_area(content)
    menu = "".join(
        f"<h2>{escape(area)}</h2><ul>"
        + "".join(
            f'<li><a href="#{o["operationId"]}">{escape(o["summary"])}</a></li>'
            for _, _, o in calls
        )
        + "</ul>"
        for area, calls in areas.items()
    )
    sections = "".join(
        f'<h2 class="area">{escape(area)}</h2>'
        + "".join(_section(method, path, o, content) for method, path, o in calls)
        for area, calls in areas.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])}</title>"
        '<link rel="stylesheet" href="/api/docs/style.css"></head><body><div class="page">'
        f'<nav aria-label="Operations"><a href="/">← {escape(info["title"].removesuffix(" API"))}</a>'
        f'{menu}</nav><main><h1>{escape(info["title"])} <span class="quiet">{escape(info["version"])}'
        f"</span></h1>{_prose(info['description'])}"
        '<p>For programs: <a href="/api/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"{sections}</main></div></body></html>\n"
    )


def _by_area(content: Document) -> dict[str, list[tuple[str, str, Document]]]:
    areas: dict[str, list[tuple[str, str, Document]]] = {tag["name"]: [] for tag in content["tags"]}
    for path, item in content["paths"].items():
        for method, operation in item.items():
            areas[operation["tags"][0]].append((method.upper(), path, operation))
    return areas


def _prose(text: str) -> str:
    paragraphs = escape(text, quote=False).split("\n\n")
    marked = (re.sub(r"`([^`]+)`", r"<code>\1</code>", paragraph) for paragraph in paragraphs)
    return "".join(f"<p>{paragraph}</p>" for paragraph in marked)


def _section(method: str, path: str, operation: Document, content: Document) -> str:
    needs = _needs(operation["security"])
    parts = [
        f'<section id="{operation["operationId"]}"><h3>{escape(operation["summary"])}</h3>',
        f'<p class="call"><span class="method">{method}</span><code>{escape(path)}</code></p>',
        _prose(operation["description"]),
        f'<p class="quiet">{escape(needs)}</p>',
    ]
    if operation["parameters"]:
        rows = (
            (p["name"], _kind(p["schema"], content), p["required"], p.get("description", ""))
            for p in operation["parameters"]
        )
        parts.append(_table("Parameters", rows))
    if "requestBody" in operation:
        ((kind, body),) = operation["requestBody"]["content"].items()
        title = "Body" if kind == "application/json" else f"Body ({kind})"
        parts.append(_table(title, _fields(body["schema"], content)))
    parts.append(_answers(operation, content))
    return "".join(parts) + "</section>"


def _needs(security: Sequence[Document]) -> str:
    if not security:
        return "Needs no login."
    if not security[0]:
        return "Needs no login; whoever has one may be answered more."
    scopes = [scope for way in security for scope in way.get("app_token", ())]
    if scopes:
        return f"Needs a login, or an app token with {scopes[0]}."
    return "Needs a login."


def _answers(operation: Document, content: Document) -> str:
    success, *errors = operation["responses"].items()
    status, answer = success
    parts = []
    if "content" in answer:
        schema = answer["content"]["application/json"]["schema"]
        parts.append(_table(f"Answer {status}", _fields(schema, content)))
    else:
        parts.append(
            f"<h4>Answer {status}</h4><p>{escape(answer['description'])}, without a body.</p>"
        )
    rows = "".join(f"<tr><th>{s}</th><td>{_prose(a['description'])}</td></tr>" for s, a in errors)
    parts.append(
        f'<details><summary>Errors</summary><div class="wide"><table>{rows}</table></div></details>'
    )
    return "".join(parts)


Row = tuple[str, str, bool, str]


def _table(title: str, rows: Sequence[Row] | Iterator[Row]) -> str:
    lines = "".join(
        f"<tr><th><code>{escape(name)}</code></th><td>{escape(kind)}"
        f"{'' if required else ' <span class=quiet>optional</span>'}</td><td>{_prose(text)}</td></tr>"
        for name, kind, required, text in rows
    )
    return f'<h4>{escape(title)}</h4><div class="wide"><table>{lines}</table></div>'


def _fields(schema: Document, content: Document, prefix: str = "", depth: int = 0) -> Iterator[Row]:
    schema = _resolve(schema, content)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield prefix + name, _kind(field, content), name in required, field.get("description", "")
        inner, suffix = _inner(field, content)
        if inner is not None and depth < 3:
            yield from _fields(inner, content, f"{prefix}{name}{suffix}.", depth + 1)


def _inner(field: Document, content: Document) -> tuple[Document | None, str]:
    for choice in field.get("anyOf", [field]):
        suffix = ""
        if choice.get("type") == "array":
            choice, suffix = choice["items"], "[]"
        resolved = _resolve(choice, content)
        if "properties" in resolved:
            return resolved, suffix
    return None, ""


def _resolve(schema: Document, content: Document) -> Document:
    if "$ref" in schema:
        found: Document = content["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(schema: Document, content: Document) -> str:
    schema = _resolve(schema, content)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice, content) for choice in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'], content)}"
    kind = "time" if schema.get("format") == "date-time" else str(schema.get("type", "any"))
    bounds = [f"{word} {schema[k]}" for k, word in _BOUNDS.items() if k in schema]
    return f"{kind} ({', '.join(bounds)})" if bounds else kind


_BOUNDS = {"minimum": "from", "maximum": "to"}
