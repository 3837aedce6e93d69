"""A connection to PostgreSQL that is encrypted, and to the server that it should be, where the URL asks for it."""

import datetime
import gc
import shutil
import warnings

import pytest
from sqlalchemy import text
from tests.study.postgresql import binaries, start_cluster

from percuss.core.errors import RunError, UsageError
from percuss.study.database import open_database, stored_url


def certificate(folder, name, *, host):
    """A key and a certificate for a host, signed by itself: the PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return files


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory):
    """The URL, host left open, of a server that speaks TLS, its certificate, and another's."""
    if binaries() is None:
        pytest.skip("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("certificates")
    own, key = certificate(folder, "own", host="localhost")
    other, _ = certificate(folder, "other", host="localhost")
    cluster = start_cluster()
    data = cluster.folder / "data"
    owner = data.owner()
    cluster.crash()
    for source, name in ((own, "server.crt"), (key, "server.key")):
        shutil.copy(source, data / name)
        (data / name).chmod(0o600)
        shutil.chown(data / name, owner)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("ssl = on\n")
    cluster.again()
    yield cluster.database(), own, other
    cluster.stop()


def encrypted(url):
    """Whether the server says that this connection is encrypted."""
    database = open_database(url)
    with database.read() as session:
        found = session.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    database.close()
    return found


@pytest.fixture(autouse=True)
def _sockets():
    """The driver leaves the socket of a refused handshake to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def test_a_connection_is_encrypted_unless_asked_otherwise(encrypting):
    url, _, _ = encrypting
    assert encrypted(url) and encrypted(f"{url}?sslmode=require")
    assert not encrypted(f"{url}?sslmode=disable")


def test_the_server_is_the_one_that_it_should_be(encrypting):
    url, own, other = encrypting
    named = url.replace("127.0.0.1", "localhost")
    assert encrypted(f"{named}?sslmode=verify-full&sslrootcert={own}")
    for wrong in (f"{url}?sslmode=verify-full&sslrootcert={own}", f"{named}?sslmode=verify-full&sslrootcert={other}"):
        with pytest.raises(RunError, match=r"cannot be used.*certificate"):
            open_database(wrong)
    with pytest.raises(RunError, match="cannot be used"):
        open_database(f"{named}?sslmode=verify-full")


def test_a_server_without_encryption_is_refused_where_it_is_required(postgresql_url):
    with pytest.raises(RunError, match="refuses SSL"):
        open_database(f"{postgresql_url}?sslmode=require")


def test_options_of_a_url_are_known_or_refused(tmp_path):
    url = "postgresql+pg8000://percuss@127.0.0.1:1/study"
    for option, says in (("sslmode=maybe", "no such sslmode: maybe"), ("pasword=x", "not known: pasword")):
        with pytest.raises(UsageError, match=says):
            open_database(f"{url}?{option}")
    with pytest.raises(UsageError, match="certificates cannot be read"):
        open_database(f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'none'}")
    kept = stored_url(f"{url}?sslmode=verify-full&sslrootcert=ca.pem")
    assert kept == f"{url}?sslmode=verify-full&sslrootcert=ca.pem"


def test_the_driver_is_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pg8000", None)
    with pytest.raises(UsageError, match=r"driver of the database is not installed.*percuss\[study,postgresql\]"):
        open_database("postgresql+pg8000://percuss@127.0.0.1:1/study")
