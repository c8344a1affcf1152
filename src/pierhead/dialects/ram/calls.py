"""What a handler works with: a call that is authenticated, allowed and legal."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pierhead.core.principals import Principal
from pierhead.dialects.ram.catalog import Operation
from pierhead.dialects.ram.reading import Value


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    operation: Operation
    values: Mapping[str, Value]  #: typed; absent ones left out
    principal: Principal
    circumstances: Mapping[str, str]  #: condition keys and their values

    def text(self, name: str) -> str:
        """A text; "" when absent."""
        return cast(str, self.values.get(name, ""))

    def new(self, name: str) -> str | None:
        """A text that is to be different; None when absent."""
        return cast("str | None", self.values.get(name))

    def number(self, name: str) -> int | None:
        """A whole number; None when absent."""
        return cast("int | None", self.values.get(name))

    def bound(self, name: str) -> float | None:
        """A number, infinite for `none`; None when absent."""
        return cast("float | None", self.values.get(name))

    def flag(self, name: str) -> bool:
        """Is it there and true?"""
        return self.values.get(name) is True


#: Gives all that is known of what the operation answers; the app shows the fields that its shape has.
Handler = Callable[[Call], Awaitable[dict[str, Any]]]
