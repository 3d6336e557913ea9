"""What is told to users."""

from __future__ import annotations

import json
from typing import Any


class SpecError(Exception):
    """What is wrong with a spec, with data, or with what is asked of them.

    Its text is what the command `anabranch` prints; `findings` are the same as data: a list of dicts with `code`, `severity`, `message`, `file`,
    `line`, `column`, `notes`, `helps` and the like.

    >>> import anabranch
    >>> try:
    ...     anabranch.compile("input x: f32[batch, 3]\\noutput y = dens(x)\\n")
    ... except anabranch.SpecError as error:
    ...     print(error.findings[0]["code"], error.findings[0]["line"], error.findings[0]["helps"])
    E0201 2 ['did you mean `dense`?']
    """

    findings: list[dict[str, Any]]

    def __init__(self, text: str, findings: list[dict[str, Any]] | None = None) -> None:
        super().__init__(text)
        self.findings = findings or []

    @classmethod
    def of_json(cls, text: str, findings: list[str]) -> SpecError:
        """From findings as they are written to files."""
        return cls(text, [json.loads(finding) for finding in findings])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.findings)


class SpecWarning(UserWarning):
    """What is worth knowing of a training and is no mistake."""
