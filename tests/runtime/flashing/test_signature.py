"""Who signed, and whether that counts: each refusal has its own reason, and comes before anything is parsed."""

from __future__ import annotations

import datetime
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from edgetl.errors import (
    BundleHashError,
    BundleSizeError,
    DowngradeError,
    EdgetlError,
    ExpiredError,
    PurposeError,
    RevokedError,
    SignatureError,
    SignerError,
    UnsignedError,
)
from edgetl.flasher.signing import permit, signature_of
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.flashing.facts import release_in
from edgetl.runtime.flashing.flash import Announcement, permit_text
from edgetl.runtime.flashing.journal import Journal
from edgetl.runtime.flashing.layout import DeviceRoot
from edgetl.runtime.flashing.records import Filled, Installed
from edgetl.runtime.flashing.signature import DOWNGRADE_NAMESPACE, check_signature
from edgetl.runtime.flashing.signed_head import read_signed_head
from tests.runtime import tiny
from tests.runtime.flashing.world import (
    OWNER,
    Bytes,
    Keys,
    StillClock,
    announce,
    bring,
    configure,
    flashing,
    keygen,
)

MESSAGE = b"a manifest"


@pytest.fixture
def trusting(root: DeviceRoot, keys: Keys) -> DeviceRoot:
    """A device that requires signatures, and trusts some keys."""
    configure(root, signatures="required")
    root.allowed_signers.write_text(
        keys.line("good", 'namespaces="edgetl-bundle@edgetl"')
        + keys.line("old", 'valid-before="20200101"')
        + keys.line("young", 'valid-after="20450101"')
        + keys.line("revoked")
        + keys.line("elsewhere", 'namespaces="file"')
        + keys.line("chief", 'namespaces="edgetl-bundle@edgetl,edgetl-downgrade@edgetl"')
    )
    keygen("-k", "-f", root.revoked, f"{keys('revoked')}.pub")
    return root


def signature(keys: Keys, name: str, namespace: str = "edgetl-bundle@edgetl") -> bytes:
    return signature_of(MESSAGE, keys(name), namespace)


def test_good_signature_names_its_signer(trusting: DeviceRoot, clock: StillClock, keys: Keys) -> None:
    assert check_signature(trusting, MESSAGE, signature(keys, "good"), clock.now()) == "good@plant"


@pytest.mark.fault("S3")
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("stranger", SignerError, "not among the device's allowed signers"),
        ("old", ExpiredError, "the signing key expired"),
        ("young", ExpiredError, "not yet valid"),
        ("revoked", RevokedError, "the key of revoked@plant was revoked"),
        ("elsewhere", PurposeError, "elsewhere@plant may sign, but not for edgetl-bundle@edgetl"),
    ],
)
def test_each_wrong_key_has_its_own_refusal(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, name: str, kind: type[EdgetlError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        check_signature(trusting, MESSAGE, signature(keys, name), clock.now())


@pytest.mark.fault("S3")
def test_signature_made_for_something_else(trusting: DeviceRoot, clock: StillClock, keys: Keys) -> None:
    with pytest.raises(PurposeError, match="signed for 'file', not for 'edgetl-bundle@edgetl'"):
        check_signature(trusting, MESSAGE, signature(keys, "good", "file"), clock.now())


@pytest.mark.fault("S3")
def test_list_of_revoked_public_keys_serves_as_well(trusting: DeviceRoot, clock: StillClock, keys: Keys) -> None:
    shutil.copy(f"{keys('good')}.pub", trusting.revoked)
    with pytest.raises(RevokedError):
        check_signature(trusting, MESSAGE, signature(keys, "good"), clock.now())


@pytest.mark.fault("T2")
def test_clock_that_nobody_set_does_not_make_a_key_too_young(
    trusting: DeviceRoot, clock: StillClock, keys: Keys
) -> None:
    clock.synchronised = False
    assert check_signature(trusting, MESSAGE, signature(keys, "young"), clock.now()) == "young@plant"
    with pytest.raises(ExpiredError, match="nothing has set the clock right"):
        check_signature(trusting, MESSAGE, signature(keys, "old"), clock.now())


@pytest.mark.fault("S4")
@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (b"", UnsignedError),
        (b"\n", UnsignedError),
        (b"signed, honestly", SignatureError),
        (b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n", SignatureError),
        (b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8=\n-----END SSH SIGNATURE-----\n", SignatureError),
    ],
)
def test_what_is_no_signature(trusting: DeviceRoot, clock: StillClock, found: bytes, kind: type[EdgetlError]) -> None:
    with pytest.raises(kind):
        check_signature(trusting, MESSAGE, found, clock.now())


@pytest.mark.fault("S1")
def test_flipped_bits_of_signature_and_content(trusting: DeviceRoot, clock: StillClock, keys: Keys) -> None:
    good = signature(keys, "good")
    for position in range(0, len(good), 23):
        flipped = bytearray(good)
        flipped[position] ^= 4
        with pytest.raises(EdgetlError) as caught:
            check_signature(trusting, MESSAGE, bytes(flipped), clock.now())
        assert isinstance(caught.value, SignatureError)
    with pytest.raises(SignatureError, match="not of these bytes"):
        check_signature(trusting, b"b manifest", good, clock.now())


def test_device_that_trusts_nobody_says_so(root: DeviceRoot, clock: StillClock, keys: Keys) -> None:
    with pytest.raises(SignerError, match="trusts nobody yet"):
        check_signature(root, MESSAGE, signature(keys, "good"), clock.now())


def refused_at_once(root: DeviceRoot, clock: StillClock, path: Path, kind: type[EdgetlError], **changes: object) -> str:
    """Announces a release, which must be refused before a byte of it is asked for."""
    with flashing(root, clock) as flash, pytest.raises(kind) as caught:
        flash.begin(announce(path, **changes), OWNER)
    assert list(root.staging.iterdir()) == []
    return str(caught.value)


@pytest.mark.fault("S4")
def test_unsigned_bundle_and_signature_of_another(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    refused_at_once(trusting, clock, tmp_path / "plain.edgetl", UnsignedError)
    one, two = (keys.sign(tmp_path / "plain.edgetl", "good", number=n) for n in (1, 2))
    other = announce(two)
    refused_at_once(trusting, clock, one, SignatureError, signature=other.signature)


@pytest.mark.fault("S1", "S4")
def test_announcement_of_one_release_and_upload_of_another(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    """Its manifest is signed and newer, the file behind it is signed and older: the file is what counts."""
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    old, new = (keys.sign(tmp_path / "plain.edgetl", "good", number=n) for n in (1, 2))
    file, told = announce(old), announce(new)
    lie = announce(old, manifest=told.manifest, signature=told.signature)
    with flashing(trusting, clock) as flash:
        flash.begin(lie, OWNER)
        flash.receive(file.sha256, file.size, 0, Bytes(old.read_bytes()))
        with pytest.raises(BundleHashError, match="another manifest than the one that was admitted"):
            flash.rehearse(file.sha256)


INTERPRETER = "_pywrap_"  # what LiteRT's library is called


def rehearsed_under_strace(root: DeviceRoot, sha256: str, trace: Path) -> tuple[int, str, str]:
    """Rehearses a staged release by the real command: exit code, stderr, and every file and program it opened."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: make system")
    done = subprocess.run(
        ["strace", "-f", "-qq", "-s", "300", "-e", "trace=openat,execve", "-o", str(trace), sys.executable, "-m", "edgetl", "slot", "rehearse",
         "--root", str(root.path), "--owner", OWNER, "--sha256", sha256],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr, trace.read_text()


def children(calls: str) -> int:
    """How many children were started that load a model."""
    return sum("execve(" in line and "rehearsal_child" in line for line in calls.splitlines())


def test_good_release_opens_the_interpreter(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    """So that the next test shows something when it finds it not opened."""
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    path = keys.sign(tmp_path / "plain.edgetl", "good")
    bring(trusting, clock, path)
    code, said, calls = rehearsed_under_strace(trusting, announce(path).sha256, tmp_path / "trace")
    assert code == 0, said
    assert INTERPRETER in calls and children(calls) == 1


@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    ("where", "codes"),
    [("manifest", ("E_SIGNATURE", "E_UNSIGNED")), ("signature", ("E_SIGNATURE",)), ("model", ("E_HASH",))],
)
def test_flipped_bit_anywhere_is_refused_before_the_model_is_opened(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path, where: str, codes: tuple[str, ...]
) -> None:  # fmt: skip
    """Under strace: no program that could hold an interpreter opens a model, and none starts at all for the head."""
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    path = keys.sign(tmp_path / "plain.edgetl", "good")
    data, good = bytearray(path.read_bytes()), announce(path)
    marks = {"manifest": b'"labels"', "signature": b"BEGIN SSH", "model": b"TFL3"}
    data[data.index(marks[where]) + 6] ^= 1
    path.write_bytes(data)
    flipped = hashlib.sha256(data).hexdigest()
    lie = msgspec.structs.replace(good, sha256=flipped)
    with flashing(trusting, clock) as flash:
        flash.begin(lie, OWNER)
        flash.receive(flipped, len(data), 0, Bytes(bytes(data), 1 << 20))
        flash.leave()
    code, said, calls = rehearsed_under_strace(trusting, flipped, tmp_path / "trace")
    assert code == 1 and said.startswith(tuple(f"edgetl: {kind}: " for kind in codes)), said
    assert INTERPRETER not in calls, "the interpreter's library was not even opened"
    assert children(calls) == (1 if where == "model" else 0)


@pytest.mark.fault("S2")
@pytest.mark.parametrize("change", ["cut", "padded", "empty"])
def test_cut_and_padded_releases(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path, change: str
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    path = keys.sign(tmp_path / "plain.edgetl", "good")
    data = path.read_bytes()
    changed = {"cut": data[:-1], "padded": data + b"\0", "empty": data[:1]}[change]
    lie = announce(path, sha256=hashlib.sha256(changed).hexdigest(), size=len(changed))
    with flashing(trusting, clock) as flash:
        flash.begin(lie, OWNER)
        flash.receive(lie.sha256, lie.size, 0, Bytes(changed))
        with pytest.raises((BundleSizeError, UnsignedError, BundleHashError)):
            flash.rehearse(lie.sha256)
    assert list(trusting.staging.iterdir()) == []


@pytest.mark.fault("S5")
@pytest.mark.parametrize("name", ["../x", "/etc/x", "CON", "golden/PIC.png"])
def test_signed_is_not_trusted_syntax(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, tmp_path: Path, name: str
) -> None:
    """A manifest that an allowed key signed, and that lists a name which no bundle may have."""
    files = {**tiny.content(), "golden/pic.png": b"x", name: b"x"}
    manifest = msgspec.json.encode(tiny.manifest_of(files))
    path = tmp_path / "x.edgetl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(tiny.entry("manifest.json"), manifest)
        archive.writestr(tiny.entry("signature"), signature_of(manifest, keys("good"), "edgetl-bundle@edgetl"))
        for member, data in files.items():
            archive.writestr(tiny.entry(member), data)
    data = path.read_bytes()
    head = read_signed_head(path.open("rb"), "x")
    told = Announcement(
        sha256=hashlib.sha256(data).hexdigest(), size=len(data), manifest=head.manifest, signature=head.signature
    )
    with flashing(trusting, clock) as flash:
        flash.begin(told, OWNER)
        flash.receive(told.sha256, told.size, 0, Bytes(data))
        with pytest.raises(EdgetlError, match=r"refused member name|appears twice"):
            flash.rehearse(told.sha256)


@pytest.mark.fault("S8")
def test_older_release_played_again_needs_the_downgrade_key(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    five = keys.sign(tmp_path / "plain.edgetl", "good", number=5)
    running = Installed(sha256="66" * 32, manifest_sha256="6" * 64, size=1, name="plain", number=6)
    Journal(trusting.journal).append(Filled(at=clock.now(), slot="a", release=running))
    trusting.point_to("a")
    said = refused_at_once(trusting, clock, five, DowngradeError)
    assert "release 5, older than plain (6), which runs" in said
    said = refused_at_once(trusting, clock, five, DowngradeError, allow_downgrade=True)
    assert "older than plain (6)" in said and said.endswith("--allow-downgrade --downgrade-key KEY")
    text = permit_text(announce(five).manifest, running)
    with pytest.raises((PurposeError, SignerError)):
        check_signature(trusting, text, permit(text, keys("good")), clock.now(), DOWNGRADE_NAMESPACE)
    elsewhere = permit_text(announce(five).manifest, None)
    refused_at_once(
        trusting, clock, five, SignatureError, allow_downgrade=True, permit=permit(elsewhere, keys("chief"))
    )
    with flashing(trusting, clock) as flash:
        admitted = flash.begin(announce(five, allow_downgrade=True, permit=permit(text, keys("chief"))), OWNER)
    assert not admitted.running
    assert release_in(Journal(trusting.journal).history(), "a") == running


@pytest.mark.fault("S8")
def test_flag_for_downgrades_asks_nothing_of_a_newer_release(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    running = Installed(sha256="66" * 32, manifest_sha256="6" * 64, size=1, name="plain", number=6)
    Journal(trusting.journal).append(Filled(at=clock.now(), slot="a", release=running))
    trusting.point_to("a")
    seven = keys.sign(tmp_path / "plain.edgetl", "good", number=7)
    with flashing(trusting, clock) as flash:
        assert not flash.begin(announce(seven, allow_downgrade=True), OWNER).running


@pytest.mark.fault("S9")
def test_release_past_its_time_warns_and_is_refused_by_a_clock_that_can_be_trusted(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    today = datetime.datetime.fromtimestamp(clock.wall_s, datetime.timezone.utc).date()
    path = keys.sign(tmp_path / "plain.edgetl", "good", expires=(today - datetime.timedelta(1)).isoformat())
    refused_at_once(trusting, clock, path, ExpiredError)
    clock.synchronised = False
    with flashing(trusting, clock) as flash:
        (warning,) = flash.begin(announce(path), OWNER).warnings
    assert "nothing has set right" in warning
    clock.synchronised = True
    fresh = keys.sign(tmp_path / "plain.edgetl", "good", number=2, expires=today.isoformat())
    with flashing(trusting, clock) as flash:
        assert flash.begin(announce(fresh), OWNER).warnings == ()


def test_signed_release_passes_and_keeps_its_content(
    trusting: DeviceRoot, clock: StillClock, keys: Keys, unsigned: Path, tmp_path: Path
) -> None:
    shutil.copy(unsigned, tmp_path / "plain.edgetl")
    path = keys.sign(tmp_path / "plain.edgetl", "good", number=7)
    with open_bundle(unsigned) as before, open_bundle(path) as after:
        assert {n: before.read(n) for n in before.manifest.files} == {n: after.read(n) for n in after.manifest.files}
        assert after.manifest.release is not None and after.manifest.release.number == 7
    bring(trusting, clock, path)
    with flashing(trusting, clock) as flash:
        flash.rehearse(announce(path).sha256)
    assert Journal(trusting.journal).history().announced.signer == "good@plant"  # type: ignore[union-attr]
