"""AWS Signature Version 4 for the one kind of request that the processor sends: a POST to a service's root.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html describes it.
botocore's signer serves every kind of request and costs a tenth of a batch's CPU time more; tests hold this
one to it.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Signer:
    """Signs requests to one host.

    Args:
        host: as the ``Host`` header names it, with the port where that is not the scheme's own.
        service: name in the scope of the signature, ``dynamodb`` for one.
        region: likewise.
    """

    def __init__(self, host: str, service: str, region: str) -> None:
        self._host = host
        self._scope = (region, service, "aws4_request")
        self._key_of: tuple[str | None, str] | None = None
        self._key = b""

    def signed(
        self, headers: Mapping[str, str], body: bytes, credentials: "ReadOnlyCredentials", now: datetime
    ) -> dict[str, str]:
        """The headers, and those that make the signature.

        Args:
            headers: to be signed; names in lower case, values without spaces that could be trimmed.
            now: UTC.
        """
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        signed = {**headers, "host": self._host, "x-amz-date": moment}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = "/".join((moment[:8], *self._scope))
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = digest(self._signing_key(credentials.secret_key, moment[:8]), text.encode(), "sha256")
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature.hex()}"
        )
        return signed

    def _signing_key(self, secret: str | None, day: str) -> bytes:
        """Made of the secret and the day, and the same for as long as both are."""
        if self._key_of != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, *self._scope):
                key = digest(key, part.encode(), "sha256")
            self._key_of, self._key = (secret, day), key
        return self._key
