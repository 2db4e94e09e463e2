"""What a request and an answer are made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema, to_json


class Read(dict[str, Any]):
    """Fields that were read already: the model's validator may be wrapped in itself when a field uses it."""


class Body(BaseModel):
    """A request's body: immutable, unknown fields refused, types taken literally.

    The framework hands over what its JSON parser made. Strict types would refuse every UUID and instant
    in it (they arrive as text), lax ones would take `true`, 1.0 or "5" for money. Validation as JSON text
    is strict and reads them all, so that is what happens to anything that arrives as a plain object.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        made = handler(source)
        literal: Any = dict(handler.resolve_ref_schema(made))
        if literal["type"] == "json-or-python":  # A finished class is asked again wherever it is a field.
            return made
        # The name by which other models and the OpenAPI document refer to it belongs to the whole.
        name = literal.pop("ref", None)
        return core_schema.json_or_python_schema(
            json_schema=literal,
            python_schema=core_schema.no_info_wrap_validator_function(source._read_as_json, literal),
            ref=name,
        )

    @classmethod
    def _read_as_json(cls, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, dict) or isinstance(value, Read):
            return handler(value)
        try:
            text = to_json(value)
        except (PydanticSerializationError, UnicodeError) as error:
            raise ValueError("a text in it is not Unicode") from error
        read = cls.__pydantic_validator__.validate_json(text)
        # Once more with the exact types: only this fills the object that the constructor was called for.
        fields = cls.model_fields
        return handler(
            Read({fields[name].alias or name: getattr(read, name) for name in read.model_fields_set})
        )


class Answer(BaseModel):
    """A response's body. Name it as the route's return type: then pydantic writes the bytes itself."""

    model_config = ConfigDict(frozen=True)
