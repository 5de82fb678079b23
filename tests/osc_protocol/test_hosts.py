"""Which addresses are this machine's own."""

from osc_protocol import is_loopback


def test_this_machines_own_addresses_are_known():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "localhost")))
    assert not any(
        map(is_loopback, ("192.168.1.2", "10.0.0.1", "::", "fe80::1%eth0", "example.org"))
    )
