//! Address ranges.

use std::net::IpAddr;

use anon_net::scp::AddressRange;

#[test]
fn addresses_match_ranges() {
    let table = [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.3", "::ffff:10.1.2.3", true),
        ("::ffff:10.1.2.3", "10.1.2.3", true),
        ("::ffff:10.1.0.0/112", "10.1.200.3", true),
        ("::ffff:10.1.0.0/112", "10.2.0.1", false),
        ("10.1.0.0/16", "10.1.255.255", true),
        ("10.1.77.1/16", "10.1.0.1", true),
        ("10.1.0.0/16", "10.2.0.0", false),
        ("0.0.0.0/0", "192.0.2.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "192.0.2.1", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false),
        ("::1", "::1", true),
        ("127.0.0.1", "::1", false),
    ];
    for (range, address, expected) in table {
        let parsed: AddressRange = range.parse().expect(range);
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(parsed.contains(address), expected, "{address} in {range}");
        let again: AddressRange = parsed.to_string().parse().expect("what it prints");
        assert_eq!(again, parsed);
    }
    let one = AddressRange::from("::ffff:10.1.2.3".parse::<IpAddr>().expect("an address"));
    assert_eq!(one, "10.1.2.3".parse().expect("a range"));
}

#[test]
fn invalid_ranges_are_refused() {
    for text in [
        "",
        "ward-3",
        "10.1.2",
        "10.1.2.3/",
        "10.1.2.3/x",
        "10.1.2.3/33",
        "::1/129",
        "::ffff:10.1.2.3/95",
        "10.1.2.3/-1",
    ] {
        let error = text.parse::<AddressRange>().expect_err(text);
        assert_eq!(error.len, text.len());
    }
}
