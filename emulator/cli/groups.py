"""Groups of commands whose help is quick."""

from typing import Any

from typer.core import TyperGroup


class QuickGroup(TyperGroup):
    """A group that reads `--help` without pydantic: typer coerces by it what is not given, but for a bool."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
