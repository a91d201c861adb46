"""What makes a typed function a tool."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from importlib import resources
from typing import Any, Concatenate, Generic, ParamSpec

import mcp_types
from mcp_types import ToolAnnotations

from .api import Api
from .request import ArgumentError
from .result import ToolResult
from .validation import Check

MAX_CHECKED_OUTPUT = 256 * 1024
"""The largest answer that is held against the output schema, in bytes: a check holds up all other calls."""

Parameters = ParamSpec("Parameters")


class Tool(Generic[Parameters]):
    """A function over the API, with what MCP says of it.

    Its schemas are in `schemas/FUNCTION.json`: `inputSchema` and, where the API describes an
    answer, `outputSchema`.
    """

    def __init__(
        self,
        function: Callable[Concatenate[Api, Parameters], Awaitable[ToolResult]],
        name: str,
        title: str | None,
        description: str,
        annotations: ToolAnnotations,
        arguments: Mapping[str, str],
    ) -> None:
        self.function = function
        self.name = name
        self.definition = mcp_types.Tool(
            name=name,
            title=title,
            description=description,
            annotations=annotations,
            **_schemas(function.__name__),
        )
        # The function's parameters by the name of the argument.
        names = {parameter: argument for argument, parameter in arguments.items()}
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self._parameters = {names.get(parameter.name, parameter.name): parameter for parameter in parameters}

    async def __call__(self, api: Api, *args: Parameters.args, **kwargs: Parameters.kwargs) -> ToolResult:
        """Calls the function."""
        return await self.function(api, *args, **kwargs)

    async def run(self, api: Api, arguments: Mapping[str, Any]) -> ToolResult:
        """Checks a client's arguments, calls the function, and checks its result."""
        wrong = self._input.problems(arguments) or [
            f"{name}: is required"
            for name, parameter in self._parameters.items()
            if parameter.default is inspect.Parameter.empty and name not in arguments
        ]
        if wrong:
            return ToolResult.invalid_arguments(self.name, wrong)
        known = {p.name: arguments[name] for name, p in self._parameters.items() if name in arguments}
        try:
            function: Callable[..., Awaitable[ToolResult]] = self.function
            result = await function(api, **known)
        except ArgumentError as error:
            return ToolResult.invalid_arguments(self.name, [str(error)])
        return self._checked(result)

    def _checked(self, result: ToolResult) -> ToolResult:
        """Clients refuse a result that breaks the tool's output schema, so such a one is flagged instead."""
        if self._output is None or result.structured is None or result.size > MAX_CHECKED_OUTPUT:
            return result
        problem = self._output.first_problem(result.structured)
        if problem is None:
            return result
        return result.mismatched(f"its document promises something else ({problem})")

    @cached_property
    def _input(self) -> Check:
        return Check(self.definition.input_schema)

    @cached_property
    def _output(self) -> Check | None:
        schema = self.definition.output_schema
        return None if schema is None else Check(schema)


def tool(
    name: str,
    *,
    title: str | None = None,
    description: str,
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
    arguments: Mapping[str, str] | None = None,
) -> Callable[[Callable[Concatenate[Api, Parameters], Awaitable[ToolResult]]], Tool[Parameters]]:
    """Makes a function a tool. `arguments` has the parameters whose argument has another name."""
    annotations = ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=open_world,
    )

    def decorate(function: Callable[Concatenate[Api, Parameters], Awaitable[ToolResult]]) -> Tool[Parameters]:
        return Tool(function, name, title, description, annotations, arguments or {})

    return decorate


def _schemas(function: str) -> dict[str, Any]:
    file = resources.files(__package__) / "schemas" / f"{function}.json"
    schemas: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {"input_schema": schemas["inputSchema"], "output_schema": schemas.get("outputSchema")}
