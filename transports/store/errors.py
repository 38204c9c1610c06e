"""What may go wrong with what we keep."""


class StoreError(Exception):
    """A database or a place for blobs cannot be used; the text is for the operator, without a password."""

    @property
    def brief(self) -> str:
        """All of it, for the log."""
        return str(self)


class BlobMissing(LookupError):
    """There is no blob of this key."""
