import pytest

from app.auth.networks import clean_address, fingerprint, network_of, site_of


class TestCleanAddress:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1 ", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ('"192.0.2.1:4711"', "192.0.2.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("", "unknown"),
            (None, "unknown"),
            ("unknown", "unknown"),
            ("_hidden", "unknown"),
            ("192.0.2.256", "unknown"),
            ("192.0.2.1\n{}", "unknown"),
        ],
    )
    def test_an_address_has_one_spelling(self, text, address):
        assert clean_address(text) == address


class TestNetworkOf:
    @pytest.mark.parametrize(
        ("address", "network", "site"),
        [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("unknown", "unknown", "unknown"),
        ],
    )
    def test_a_client_is_counted_by_its_network_and_site(self, address, network, site):
        assert (network_of(address), site_of(address)) == (network, site)


class TestFingerprint:
    def test_depends_on_the_key_and_on_where_each_value_ends(self):
        assert len({fingerprint(b"k", "ab", "c"), fingerprint(b"k", "a", "bc"), fingerprint(b"other", "ab", "c")}) == 3
