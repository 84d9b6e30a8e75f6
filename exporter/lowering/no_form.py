"""What stops a conversion: an operator without a counterpart."""

from __future__ import annotations

from edgetl.errors import ExportError


class NoForm(ExportError):
    """An operator (`kind`, of the ONNX node `node`) that TFLite has not, or not so; `why` says what of it."""

    def __init__(self, kind: str, node: str, why: str = "") -> None:
        super().__init__(f"operator {kind} of ONNX node {node} has no form in TFLite{why and f': {why}'}")
        self.kind, self.node, self.why = kind, node, why
