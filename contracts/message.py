"""What a message is: frozen, camelCase in JSON, tolerant of fields it does not know (a newer service may send them).

`Command[R]` knows the type of its reply, so that `ask(order)` is typed. A command is an imperative, a reply says what is
now true, an event is past tense.
"""

from typing import ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

CONTRACT_VERSION = 1


class Message(BaseModel):
    """A frozen piece of a conversation; JSON names are camelCase."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class Reply(Message):
    """What is true now that a command was carried out."""


class Done(Reply):
    """Carried out; there is nothing to tell."""


R = TypeVar("R", bound=Reply)


class Command(Message, Generic[R]):
    """An order, and through its type argument the reply it gets. One that `reads` changes nothing and is never recorded."""

    reads: ClassVar[bool] = False

    @classmethod
    def reply_type(cls) -> type[R]:
        """Return the class of the reply."""
        for base in cls.__mro__:
            generic = getattr(base, "__pydantic_generic_metadata__", None)
            if generic and generic["origin"] is Command:
                return cast(type[R], generic["args"][0])
        raise TypeError(f"{cls.__name__} does not say what it is answered with")


class Notice(Message):
    """A message that nobody answers."""
