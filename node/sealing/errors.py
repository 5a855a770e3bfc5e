"""What can go wrong in sealing, as one family.

    NodeError
    └── SealingError
        ├── InvalidRecipient     not a hybrid recipient `age1pq1…`
        ├── InvalidIdentity      not a hybrid identity `AGE-SECRET-KEY-PQ-1…`
        ├── MalformedHeader      not an age v1 file, or one that breaks the specification's grammar
        ├── NotHybrid            a file that a classical key, a passphrase or more than one recipient opens
        ├── NotForThisKey        no stanza is for this identity
        ├── HeaderAltered        the header's MAC does not hold
        ├── PayloadAltered       the payload was cut short, lengthened or changed
        ├── InvalidReceipt       these words are no receipt
        ├── MalformedContent     opened, but not the shape it must have
        ├── WrongSignature       the signature does not hold, or the signer is not one that is accepted
        ├── WrongPlace           made for another node, case, compartment or recipient
        ├── OutOfOrder           the chain of `seq` and `prev` is broken
        ├── ManifestRefused
        │   ├── ManifestMalformed
        │   ├── ManifestWrongSignature
        │   ├── ManifestWrongRoot
        │   ├── ManifestOtherNode
        │   ├── ManifestNotYetValid
        │   ├── ManifestExpired
        │   ├── ManifestTooFewHandlers
        │   ├── ManifestNotHybrid
        │   └── ManifestForked
        └── SealingUnusable      this build of the cryptography cannot do what sealing needs

No message ever carries a key, a receipt or a plaintext.
"""

from node.errors import NodeError


class SealingError(NodeError):
    """Something sealed, or to be sealed, does not hold."""

    public = "What was sent is not sealed as it must be."


class InvalidRecipient(SealingError):
    """Not a hybrid recipient."""

    public = "This is not a hybrid age recipient (age1pq1…)."


class InvalidIdentity(SealingError):
    """Not a hybrid identity."""

    public = "This is not a hybrid age identity."


class MalformedHeader(SealingError):
    """Not an age v1 file, or one that breaks its grammar."""

    public = "This is not an age file."


class NotHybrid(SealingError):
    """A file that not exactly one hybrid recipient can open."""

    public = "Only files sealed to exactly one hybrid recipient are taken."


class NotForThisKey(SealingError):
    """No stanza is for this identity."""

    public = "This key does not open the file."


class HeaderAltered(SealingError):
    """The header's MAC does not hold."""

    public = "The file was altered."


class PayloadAltered(SealingError):
    """The payload was cut short, lengthened or changed."""

    public = "The file was altered or is not complete."


class InvalidReceipt(SealingError):
    """These words are no receipt."""

    public = "These are not the twelve words of a receipt."


class MalformedContent(SealingError):
    """Opened, but not the shape it must have."""


class WrongSignature(SealingError):
    """The signature does not hold, or its signer is not one that is accepted."""


class WrongPlace(SealingError):
    """Made for another node, case, compartment or recipient."""


class OutOfOrder(SealingError):
    """Something was dropped, moved or replayed."""


class ManifestRefused(SealingError):
    """The list of intake keys cannot be believed."""

    public = "The list of keys of this organisation cannot be believed."


class ManifestMalformed(ManifestRefused):
    """Not a manifest."""


class ManifestWrongSignature(ManifestRefused):
    """Not signed, or not by its root."""


class ManifestWrongRoot(ManifestRefused):
    """Signed by a root that is not the organisation's."""


class ManifestOtherNode(ManifestRefused):
    """Made for another node."""


class ManifestNotYetValid(ManifestRefused):
    """Its time has not come."""


class ManifestExpired(ManifestRefused):
    """Its time is over."""


class ManifestTooFewHandlers(ManifestRefused):
    """Fewer than two people, or the same one twice."""


class ManifestNotHybrid(ManifestRefused):
    """Names a recipient that is not hybrid."""


class ManifestForked(ManifestRefused):
    """Does not follow the manifest known before: two lists were signed for one time."""


class SealingUnusable(SealingError):
    """This build of the cryptography cannot do what sealing needs."""

    public = "The server cannot seal."
