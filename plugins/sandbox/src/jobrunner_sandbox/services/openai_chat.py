"""A stand-in for chat completions: it understands no prompt, and answers in the shape that is asked for.

The same messages get the same answer. A request goes wrong by its model's name, see `ModelTrouble`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.fields import Fields, read_fields
from jobrunner_sandbox.ledger import Generated
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.openai_refusals import openai_error
from jobrunner_sandbox.services.openai_shapes import ShapeError, check_strict, filled, sentence

MOST_CHARACTERS = 400_000
"""Characters of all messages together, past which the context is too long."""

RAMBLING_SENTENCES = 2_000


class ModelTrouble(StrEnum):
    """Models whose requests go wrong, each in its own way."""

    NO_SUCH_MODEL = "no-such-model"
    OUT_OF_QUOTA = "out-of-quota"
    REFUSING = "refusing"
    FILTERED = "filtered"
    CUT_OFF = "cut-off"
    NOT_JSON = "not-json"
    OFF_SCHEMA = "off-schema"
    RAMBLING = "rambling"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation, of text only."""

    role: str
    content: str


class Chat:
    """The endpoint `/chat/completions`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return its method and path, without the version."""
        return (Endpoint(method="POST", path="/chat/completions", handler=self._complete),)

    def clear(self) -> None:
        """Forget nothing, since nothing is kept but in the ledger."""

    async def _complete(self, call: Call) -> Response:
        fields = await read_fields(call.request)
        model, messages = _model_of(fields), _messages_of(fields)
        schema = _schema_of(fields)
        trouble = ModelTrouble(model) if model in set(ModelTrouble) else None
        _refuse_model(model, trouble)
        asked = "\n".join(f"{message.role}: {message.content}" for message in messages)
        if len(asked) > MOST_CHARACTERS:
            raise RefusedError(
                openai_error(
                    400,
                    "This model's maximum context length is exceeded.",
                    code="context_length_exceeded",
                    param="messages",
                )
            )
        chance = random.Random(hashlib.sha256(asked.encode()).digest())  # noqa: S311 - not for secrets
        message, finish = _answer(schema, trouble, chance)
        self._context.ledger.generate(
            Generated(
                service="openai",
                kind="text",
                model=model,
                prompt=messages[-1].content,
                made=str(message["content"] or ""),
                at=self._context.now(),
            )
        )
        return answer_json(self._completion(model, message, finish, asked))

    def _completion(
        self, model: str, message: dict[str, object], finish: str, asked: str
    ) -> dict[str, object]:
        sent, made = len(asked) // 4 + 1, len(str(message["content"])) // 4 + 1
        return {
            "id": f"chatcmpl-{self._context.next_id(1_000_000)}",
            "object": "chat.completion",
            "created": int(self._context.now()),
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made},
        }


def _answer(
    schema: dict[str, object] | None, trouble: ModelTrouble | None, chance: random.Random
) -> tuple[dict[str, object], str]:
    content, refusal, finish = _content(schema, chance), None, "stop"
    match trouble:
        case ModelTrouble.REFUSING:
            content, refusal = "", "I'm sorry, I cannot help with that."
        case ModelTrouble.FILTERED:
            content, finish = "", "content_filter"
        case ModelTrouble.CUT_OFF:
            content, finish = content[: len(content) // 2], "length"
        case ModelTrouble.NOT_JSON:
            content = f"Sure! Here you are: {content}"
        case ModelTrouble.OFF_SCHEMA:
            content = msgspec.json.encode({"answer": sentence(chance)}).decode()
        case ModelTrouble.RAMBLING:
            content = _content(schema, chance, sentences=RAMBLING_SENTENCES)
    return {"role": "assistant", "content": content or None, "refusal": refusal}, finish


def _content(schema: dict[str, object] | None, chance: random.Random, *, sentences: int = 1) -> str:
    if schema is None:
        return " ".join(sentence(chance) for _ in range(sentences))
    return msgspec.json.encode(filled(schema, chance, sentences=sentences)).decode()


def _refuse_model(model: str, trouble: ModelTrouble | None) -> None:
    if trouble is ModelTrouble.NO_SUCH_MODEL:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise RefusedError(openai_error(404, message, code="model_not_found"))
    if trouble is ModelTrouble.OUT_OF_QUOTA:
        message = "You exceeded your current quota, please check your plan and billing details."
        raise RefusedError(openai_error(429, message, kind="insufficient_quota", code="insufficient_quota"))


def _model_of(fields: Fields) -> str:
    model = fields.text("model")
    if not model:
        raise _invalid("you must provide a model parameter", param="model")
    return model


def _messages_of(fields: Fields) -> list[Message]:
    try:
        messages = msgspec.convert(fields.objects("messages"), list[Message])
    except msgspec.ValidationError as error:
        raise _invalid(f"Invalid 'messages': {error}", param="messages") from None
    if not messages:
        raise _invalid("Missing required parameter: 'messages'.", param="messages")
    return messages


def _schema_of(fields: Fields) -> dict[str, object] | None:
    """The schema of the answer, None where it is to be plain text."""
    shape = fields.mapping("response_format")
    match shape.get("type", "text"):
        case "text":
            return None
        case "json_object":
            return {"type": "object", "properties": {"text": {"type": "string"}}}
        case "json_schema":
            described = shape.get("json_schema")
            schema = described.get("schema") if isinstance(described, dict) else None
            if not isinstance(described, dict) or not isinstance(schema, dict) or not described.get("name"):
                raise _invalid(
                    "Missing required parameter: 'response_format.json_schema'.", param="response_format"
                )
            try:
                if described.get("strict"):
                    check_strict(schema)
            except ShapeError as error:
                message = f"Invalid schema for response_format '{described['name']}': {error}"
                raise _invalid(message, param="response_format") from None
            return schema
        case other:
            raise _invalid(f"Invalid value: {other!r}.", param="response_format.type")


def _invalid(message: str, *, param: str) -> RefusedError:
    return RefusedError(openai_error(400, message, param=param))
