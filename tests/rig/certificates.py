"""A private certificate authority for tests: certificates of servers that hold, that ran out, that name another host."""

import datetime as dt
import ipaddress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate as files, and that of the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path

    def arguments(self) -> list[str]:
        """Return what a server is told to use it: clients need no certificate of their own."""
        return [
            *("--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key)),
            *("--tls-ca-cert-file", str(self.authority), "--tls-auth-clients", "no"),
        ]


class Authority:
    """Signs certificates; its own is `certificate`, a file in the folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Make an authority with a fresh key.

        Args:
            folder: where the files go; made if it is not there.
            name: its name, and that of its file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        own = self._builder(self._name, self._key, ends=_now() + 10 * DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(
            _pem(own.add_extension(usage, critical=True).sign(self._key, hashes.SHA256()))
        )

    def issue(self, *hosts: str, expired: bool = False) -> Certificate:
        """Sign a server's certificate.

        Args:
            hosts: the names and addresses that it holds for.
            expired: whether it ran out yesterday.
        """
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        ends = _now() - DAY if expired else _now() + 10 * DAY
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        about = self._builder(subject, key, ends=ends).add_extension(names, critical=False)
        made = Certificate(
            certificate=self._folder / f"server-{self._count}.pem",
            key=self._folder / f"server-{self._count}.key",
            authority=self.certificate,
        )
        made.certificate.write_bytes(_pem(about.sign(self._key, hashes.SHA256())))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ends: dt.datetime
    ) -> x509.CertificateBuilder:
        owner = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - 20 * DAY)
            .not_valid_after(ends)
            .add_extension(owner, critical=False)
            .add_extension(signer, critical=False)
        )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
