"""Every error that edgetl raises on purpose, in one tree.

    EdgetlError                    exit code 1: a check failed
    ├── UsageError                 exit code 2: what was asked for cannot be meant
    │   ├── DatasetError           a folder that cannot be a data set
    │   └── ConflictError          settings changed since they were looked at
    ├── MissingPartError           exit code 3: an optional part is not installed
    ├── PictureError               one picture file cannot be read
    ├── FrameError                 an array that is no BGR frame
    ├── BundleError                a bundle that must not be used
    │   ├── BundleFormatError      not a bundle, or of a format this version does not know
    │   ├── BundleSizeError        truncated, padded, or larger than allowed
    │   ├── BundleHashError        a file differs from what the manifest promised
    │   └── SignatureError         signed over other bytes, or not a signature at all
    │       ├── UnsignedError      carries no signature where one is required
    │       ├── SignerError        signed by a key that is not among the allowed signers
    │       ├── RevokedError       signed by a key that was revoked
    │       ├── ExpiredError       signed by a key whose time has passed, or a release whose time has passed
    │       └── PurposeError       signed for something else (another namespace)
    ├── ModelError                 an interpreter refused a model, or the model breaks the contract
    ├── GoldenError                the golden set does not give what it gave at export
    ├── SourceError                a camera, a stream or a file gives no frames
    │   └── RefusedError           the camera refuses the user name or password
    ├── RunError                   a training run folder is incomplete or damaged
    ├── TrainingError              training cannot go on
    ├── WeightsError               pretrained weights are missing or do not fit
    ├── ExportError                a conversion step failed
    │   ├── OperatorError          an operator that TFLite has not
    │   │   └── PrecisionError     one that TFLite has in float, and not in integers
    │   └── GateError              int8 lost more than allowed
    ├── ParityError                the files that ship do not answer as the network or each other
    ├── SigningError               a key cannot be used to sign
    ├── FlashError                 a release was not put on a device, or not left there
    │   ├── TransportError         the device cannot be reached, or the connection broke
    │   │   └── HostKeyError       the device's host key is not the known one
    │   ├── ProtocolError          workstation and device speak no common protocol
    │   ├── BusyError              another flash, or a part in view, holds the device
    │   ├── UploadError            what arrived is not what was announced
    │   ├── TargetError            the release is for another device, processor or runtime
    │   ├── DowngradeError         the release is older than the one that runs
    │   └── HealthError            the release failed its proof or its trial on the device
    ├── ProvisionError             a device could not be set up, or lacks something that it needs
    ├── StorageError               the disk is full or not writable
    ├── LimitError                 the system gives no more descriptors, threads or memory
    └── OutputError                a receiver does not take what it is given
        └── AccessError            it refuses this device: password, certificate, rights

A message is one line: what was wrong, where, what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EdgetlError(Exception):
    """The root of the tree: something edgetl checked did not hold."""

    exit_code = 1
    code = "E_FAILED"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UsageError(EdgetlError):
    """What was asked for cannot be meant: a wrong flag, a path that is not there."""

    exit_code = 2
    code = "E_USAGE"


class DatasetError(UsageError):
    """A folder that cannot serve as a data set."""

    code = "E_DATASET"


class ConflictError(UsageError):
    """Settings changed since they were looked at; nothing is written."""

    code = "E_CONFLICT"


class MissingPartError(EdgetlError):
    """An optional part (an extra, an interpreter) is not installed."""

    exit_code = 3
    code = "E_MISSING_PART"


class PictureError(EdgetlError):
    """One picture file cannot be read."""

    code = "E_PICTURE"


class FrameError(EdgetlError):
    """An array that is no H×W×3 uint8 BGR frame."""

    code = "E_FRAME"


class BundleError(EdgetlError):
    """A bundle that must not be used."""

    code = "E_BUNDLE"


class BundleFormatError(BundleError):
    """Not a bundle, or of a format that this version does not know."""

    code = "E_FORMAT"


class BundleSizeError(BundleError):
    """Truncated, padded, or larger than allowed."""

    code = "E_SIZE"


class BundleHashError(BundleError):
    """A file differs from what the manifest promised."""

    code = "E_HASH"


class SignatureError(BundleError):
    """The signature does not belong to these bytes, or is none."""

    code = "E_SIGNATURE"


class UnsignedError(SignatureError):
    """No signature where the device requires one."""

    code = "E_UNSIGNED"


class SignerError(SignatureError):
    """Signed by a key that is not among the device's allowed signers."""

    code = "E_SIGNER"


class RevokedError(SignatureError):
    """Signed by a key that was revoked."""

    code = "E_REVOKED"


class ExpiredError(SignatureError):
    """The signing key's time, or the release's, has passed."""

    code = "E_EXPIRED"


class PurposeError(SignatureError):
    """Signed for something else than a bundle: another namespace."""

    code = "E_PURPOSE"


class ModelError(EdgetlError):
    """An interpreter refused a model, or the model breaks the input or output contract."""

    code = "E_MODEL"


class GoldenError(EdgetlError):
    """The golden set does not give here what it gave at export."""

    code = "E_GOLDEN"


class SourceError(EdgetlError):
    """A camera, a stream or a file gives no frames."""

    code = "E_SOURCE"


class RefusedError(SourceError):
    """The camera refuses the user name or password; many lock an account that fails too often."""

    code = "E_REFUSED"


class RunError(EdgetlError):
    """A training run folder is incomplete or damaged."""

    code = "E_RUN"


class TrainingError(EdgetlError):
    """Training cannot go on."""

    code = "E_TRAINING"


class WeightsError(EdgetlError):
    """Pretrained weights are missing or do not fit the network."""

    code = "E_WEIGHTS"


class ExportError(EdgetlError):
    """A conversion step failed."""

    code = "E_EXPORT"


class OperatorError(ExportError):
    """An operator (`kind`, of the ONNX node `node`) that TFLite has not, or not so; `why` says what of it."""

    code = "E_OPERATOR"

    def __init__(self, message: str, kind: str = "", node: str = "", why: str = "") -> None:
        super().__init__(message)
        self.kind, self.node, self.why = kind, node, why

    @classmethod
    def of(cls, kind: str, node: str, why: str = "") -> OperatorError:
        """The error with its message."""
        said = f"operator {kind} of ONNX node {node} has no form in TFLite{why and f': {why}'}"
        return cls(said, kind, node, why)


class PrecisionError(OperatorError):
    """An operator that TFLite has in float, and not in the precision that was asked for."""

    code = "E_PRECISION"


class GateError(ExportError):
    """The int8 model lost more than allowed; no bundle is left behind."""

    code = "E_GATE"


class SigningError(EdgetlError):
    """A key cannot be used to sign: its file is open to others, it is locked, or no agent holds it."""

    code = "E_SIGNING"


class FlashError(EdgetlError):
    """A release was not put on a device, or was not left there; the device runs what it ran before."""

    code = "E_FLASH"


class TransportError(FlashError):
    """The device cannot be reached, or the connection broke."""

    code = "E_TRANSPORT"


class HostKeyError(TransportError):
    """The device's host key is not the known one; nothing was sent."""

    code = "E_HOST_KEY"


class ProtocolError(FlashError):
    """Workstation and device speak no common protocol."""

    code = "E_PROTOCOL"


class BusyError(FlashError):
    """Another flash, or a part in view, holds the device."""

    code = "E_BUSY"


class UploadError(FlashError):
    """What arrived is not what was announced."""

    code = "E_UPLOAD"


class TargetError(FlashError):
    """The release is for another device, processor or runtime."""

    code = "E_TARGET"


class DowngradeError(FlashError):
    """The release is older than the one that runs."""

    code = "E_ROLLBACK"


class HealthError(FlashError):
    """The release failed its proof or its trial on the device."""

    code = "E_HEALTH"


class ParityError(EdgetlError):
    """The files that ship do not answer as the trained network, or not alike everywhere; the report is written."""

    code = "E_PARITY"


class ProvisionError(EdgetlError):
    """A device could not be set up, or lacks something that it needs."""

    code = "E_PROVISION"


class StorageError(EdgetlError):
    """The disk is full or not writable; what was there before is untouched."""

    code = "E_STORAGE"


class LimitError(EdgetlError):
    """The system gives this process no more descriptors, threads or memory."""

    code = "E_LIMIT"


class OutputError(EdgetlError):
    """A receiver of results does not answer, or does not take what it is given."""

    code = "E_OUTPUT"


class AccessError(OutputError):
    """A receiver refuses this device: a wrong password, an expired certificate, no rights. Trying again soon is no use."""

    code = "E_ACCESS"


def error_of(code: str, message: str) -> EdgetlError:
    """An error told by another process, as the class that it was there; an unknown code is a plain EdgetlError."""
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, EdgetlError)]
    return next((kind for kind in kinds if kind.code == code), EdgetlError)(message)


_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission to write; choose another folder or change its permissions",
    errno.EPERM: "no permission to write; choose another folder or change its permissions",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
    errno.EIO: "the disk reported an I/O error; check the disk",
}


@contextmanager
def storage(where: Path | str) -> Iterator[None]:
    """Turns an OSError met while writing under `where` into one StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = _DISK_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {where}: {reason}") from error


def limit_reached(error: BaseException) -> LimitError | None:
    """What an error says that the system ran out of, if it is that."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return LimitError("no descriptors are left; raise the limit (ulimit -n, LimitNOFILE=) or open less at once")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return LimitError("no threads are left; raise the limit (ulimit -u, TasksMax=) or use fewer threads")
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which must not be imported here
        return LimitError(
            "no memory is left on the accelerator; use a smaller --batch, smaller pictures or --device cpu"
        )
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # torch's too, of the main memory
        return LimitError("no memory is left; use a smaller --batch, smaller pictures or a smaller model")
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return LimitError("no memory is left; use smaller pictures or a smaller model, or raise the limit (MemoryMax=)")
    return None
