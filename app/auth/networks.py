"""The origin of a request: its address in canonical form, and the network that counts as one client."""

import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address

UNKNOWN = "unknown"
# An IPv6 subscriber gets at least a /64 and changes addresses within it at will (RFC 6177, RFC 8981).
IPV6_NETWORK_BITS = 64
# Hosting companies and tunnel brokers hand out a /48 to anybody.
IPV6_SITE_BITS = 48
FINGERPRINT_BYTES = 16


def clean_address(text: str | None) -> str:
    """Remove port, brackets and zone, and turn an IPv4-mapped IPv6 address into IPv4. UNKNOWN if it is no address.

    Some proxies write "192.0.2.1:4711" or "[2001:db8::1]:443" into X-Forwarded-For.
    """
    address = _parse(text)
    return UNKNOWN if address is None else str(address)


def network_of(address: str) -> str:
    """An IPv4 address itself, or the /64 of an IPv6 address."""
    return _prefix(address, IPV6_NETWORK_BITS)


def site_of(address: str) -> str:
    """An IPv4 address itself, or the /48 of an IPv6 address."""
    return _prefix(address, IPV6_SITE_BITS)


def fingerprint(key: bytes, *parts: str) -> str:
    """Identify values without revealing them to readers of the database, who do not have the key."""
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(key, message, "sha256")[:FINGERPRINT_BYTES].hex()


def _parse(text: str | None) -> IPv4Address | IPv6Address | None:
    text = (text or "").strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _prefix(text: str, bits: int) -> str:
    address = _parse(text)
    if not isinstance(address, IPv6Address):
        return UNKNOWN if address is None else str(address)
    host_bits = 128 - bits
    return f"{IPv6Address(int(address) >> host_bits << host_bits)}/{bits}"
