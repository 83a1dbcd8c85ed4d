"""The gateway's interface as OpenAPI 3.1, at /openapi.json; tests hold it against the running gateway."""

from __future__ import annotations

from typing import Any

import msgspec

from deploy.serve.admin import Reload, Rollback
from deploy.serve.chat import ChatRequest

Json = dict[str, Any]

ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
MODEL: Json = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by", "role", "version"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
        "role": {"type": "string"},
        "version": {"type": "integer"},
    },
}
DOMAIN: Json = {
    "type": "object",
    "required": ["role", "live", "previous", "versions"],
    "properties": {
        "role": {"type": "string"},
        "live": {"type": ["integer", "null"]},
        "previous": {"type": ["integer", "null"]},
        "versions": {"type": "array", "items": {"type": "integer"}},
    },
}
CHANGE: Json = {
    "type": "object",
    "required": ["role", "version", "before", "seconds", "kind"],
    "properties": {
        "role": {"type": "string"},
        "version": {"type": "integer"},
        "before": {"type": ["integer", "null"]},
        "seconds": {"type": "number"},
        "kind": {"enum": ["reload", "rollback"]},
    },
}
ANY: Json = {"type": "object"}
# What everybody may be told who sends something: wrong, no key, not this, gone, late, full.
ALWAYS = (400, 401, 403, 405, 408, 413, 431, 503)


def document() -> Json:
    """The whole document."""
    (request, reload, rollback), parts = msgspec.json.schema_components(
        (ChatRequest, Reload, Rollback), ref_template="#/components/schemas/{name}"
    )
    chat = operation("One chat completion", ANY, asked=request, more=(404, 429, 502, 504))
    chat["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lora-forge gateway", "version": "1"},
        "security": [{"key": []}, {}],
        "paths": {
            "/v1/chat/completions": {"post": chat},
            "/v1/models": {"get": operation("The names that `model` may have", listed(MODEL))},
            "/v1/models/{name}": {"get": operation("One of them", MODEL, more=(404,)) | {"parameters": [NAME]}},
            "/v1/domains": {"get": operation("Roles and their versions", listed(DOMAIN))},
            "/health": {"get": operation("Whether it answers", ANY)},
            "/metrics": {"get": text("For Prometheus")},
            "/openapi.json": {"get": operation("This", ANY)},
            "/admin/reload-model": {"post": operation("Make a version live", CHANGE, asked=reload, more=(409,))},
            "/admin/rollback": {"post": operation("Back to the version before", CHANGE, asked=rollback, more=(409,))},
            "/admin/status": {"get": operation("What serves now", ANY)},
        },
        "components": {
            "schemas": {**parts, "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


NAME: Json = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


def operation(summary: str, answer: Json, asked: Json | None = None, more: tuple[int, ...] = ()) -> Json:
    """One operation: what it answers, and the errors that it may have."""
    error = {"description": "An error", "content": content({"$ref": "#/components/schemas/Error"})}
    responses = {str(status): error for status in sorted({*ALWAYS, *more})}
    found: Json = {
        "summary": summary,
        "responses": {"200": {"description": "Done", "content": content(answer)}, **responses},
    }
    return found | ({"requestBody": {"required": True, "content": content(asked)}} if asked else {})


def text(summary: str) -> Json:
    found = operation(summary, ANY)
    found["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found


def content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def listed(item: Json) -> Json:
    return {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": item}},
    }
