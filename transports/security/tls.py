"""TLS with the certificate and key of an operator."""

import ssl
from pathlib import Path

# All of TLS 1.3, and of TLS 1.2 what has forward secrecy and authenticates what it encrypts (RFC 9325, 4.2).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class BadCertificate(Exception):
    """A certificate or key cannot be used; the text says which and what to do."""

    @property
    def brief(self) -> str:
        """All of it, for the log: it names files of the operator's."""
        return str(self)


def make_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What a server speaks TLS with: version 1.2 or later. Reads the files. Raises :class:`BadCertificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    load(context, cert, key)
    return context


def load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Have a context use these from the next handshake on. Reads the files. Raises :class:`BadCertificate`."""
    for path, what in ((cert, "--tls-cert"), (key, "--tls-key")):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BadCertificate(f"{what}: {path} cannot be read: {error.strerror or error}") from None
        if b"-----BEGIN " not in text:
            raise BadCertificate(f"{what}: {path} is not in PEM: expected a file with -----BEGIN ... in it")
        if what == "--tls-cert" and b"-----BEGIN CERTIFICATE-----" not in text:
            raise BadCertificate(
                f"{what}: there is no certificate in {path}; has it been mistaken for the key?"
            )
        if what == "--tls-key" and b"PRIVATE KEY-----" not in text:
            raise BadCertificate(f"{what}: there is no private key in {path}; is it the certificate?")
        if (
            what == "--tls-key" and b"ENCRYPTED" in text
        ):  # in its first line, or in a header of an older format
            raise BadCertificate(
                f"{what}: {path} is encrypted; expected one that is not (openssl pkey -in {path} -out FILE)"
            )
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(_why(error, cert, key)) from None


def _why(error: Exception, cert: Path, key: Path) -> str:
    match getattr(error, "reason", None):
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
            return f"--tls-key: {key} is not the key of the certificate in {cert}"
        case "BAD_DECRYPT" | "BAD_PASSWORD_READ" | "PROBLEMS_GETTING_PASSWORD" | "EMPTY_PASSWORD":
            return (
                f"--tls-key: {key} is encrypted; expected one that is not (openssl pkey -in {key} -out FILE)"
            )
        case "EE_KEY_TOO_SMALL" | "CA_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK":
            return f"--tls-cert: the certificate in {cert} is too weak for today; make one with a longer key"
        case reason:
            return (
                f"--tls-cert, --tls-key: {cert} and {key} cannot be used ({reason or error}); expected the "
                "certificate with its chain, and its key, in PEM"
            )
