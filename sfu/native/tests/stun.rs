//! What is taken for a check, and the answers, byte for byte.

mod golden;
mod peer;

use packet_plane::stun::{
    Check, MAX_FRAGMENT, Password, StunError, fragment, parse, write_role_conflict, write_success,
};
use peer::{Answer, FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING, INTEGRITY, PRIORITY, USE_CANDIDATE, USERNAME};

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn error(datagram: &[u8]) -> StunError {
    parse(datagram).expect_err("this is no check")
}

fn success(check: &Check, from: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_success(&mut out, check, from.parse().unwrap(), &Password::new(PASSWORD));
    out
}

/// The request of RFC 5769 §2.1; the corpus has it without the 16 bytes of its SOFTWARE.
fn request_of_rfc_5769() -> Vec<u8> {
    let (_, cut) = golden::shared_folder("rfc5769").into_iter().find(|(name, _)| name == "rfc5769-reqstc-221").unwrap();
    [&cut[..24], b"STUN test client", &cut[24..]].concat()
}

#[test]
fn the_request_of_rfc_5769_is_an_authentic_check() {
    let data = request_of_rfc_5769();
    let check = parse(&data).unwrap();
    assert_eq!(check.fragment, b"evtj");
    assert_eq!(fragment(&data), Ok(b"evtj".as_slice()));
    assert_eq!((check.controlled, check.use_candidate, check.priority), (true, false, Some(0x6E00_01FF)));
    assert!(check.authentic(&Password::new(PASSWORD)));
    assert!(!check.authentic(&Password::new("VOkJxbRl1RmTxUk/WvJxBT")));
    assert!(!check.authentic(&Password::new("")));
}

#[test]
fn packets_of_mediasoup_are_read_as_it_reads_them() {
    for case in golden::cases("stun_packets.json") {
        let data = golden::field(&case, "hex");
        let fields = &case["expect"]["fields"];
        if fields["klass"] != "ICE::StunPacket::Class::REQUEST" {
            assert_eq!(error(&data), StunError::NotARequest);
            continue;
        }
        let check = parse(&data).unwrap();
        assert_eq!(
            Some(check.fragment),
            fields["username"].as_str().unwrap().as_bytes().split(|byte| *byte == b':').next()
        );
        assert_eq!(check.priority.map(u64::from), fields["priority"].as_u64());
        assert_eq!(Some(check.use_candidate), fields["hasUseCandidate"].as_bool());
        assert_eq!(Some(check.controlled), fields["hasIceControlled"].as_bool());
        assert_eq!(fragment(&data), Ok(check.fragment));
    }
}

#[test]
fn answers_are_those_of_the_reference_plane() {
    for case in golden::cases("stun_answers.json") {
        let data = golden::field(&case, "check");
        let password = Password::new(case["password"].as_str().unwrap());
        let check = parse(&data).unwrap();
        assert!(check.authentic(&password));
        assert_eq!(Some(check.fragment), case["fragment"].as_str().map(str::as_bytes));
        let mut out = b"before".to_vec();
        write_success(&mut out, &check, case["address"].as_str().unwrap().parse().unwrap(), &password);
        assert_eq!(out, [b"before".to_vec(), golden::field(&case, "success")].concat());
        out.clear();
        write_role_conflict(&mut out, &check, &password);
        assert_eq!(out, golden::field(&case, "role_conflict"));
    }
}

#[test]
fn an_answer_tells_the_address_and_ipv4_as_such() {
    let data = peer::check("evtj:h6vY", PASSWORD, &[]);
    let check = parse(&data).unwrap();
    for (from, told) in [
        ("192.0.2.1:32853", "192.0.2.1:32853"),
        ("[2001:db8:1234:5678:11:2233:4455:6677]:1", "[2001:db8:1234:5678:11:2233:4455:6677]:1"),
        ("[::ffff:192.0.2.1]:65535", "192.0.2.1:65535"),
    ] {
        let answer = Answer::read(&success(&check, from), PASSWORD);
        assert_eq!(answer.transaction, peer::TRANSACTION);
        assert_eq!(answer.address(), told.parse().unwrap());
    }
}

#[test]
fn an_answer_is_no_larger_than_a_browsers_question() {
    let data = peer::check("a-fragment-of-32-characters-abcd:abcd", PASSWORD, &[(PRIORITY, &[1; 4])]);
    let check = parse(&data).unwrap();
    let mut conflict = Vec::new();
    write_role_conflict(&mut conflict, &check, &Password::new(PASSWORD));
    assert!(success(&check, "[2001:db8::1]:1").len() <= data.len());
    assert!(conflict.len() <= data.len());
}

#[test]
fn only_complete_binding_requests_are_checks() {
    let packets = ["aioice", "rfc5769", "found"].into_iter().flat_map(golden::shared_folder);
    let checks: Vec<String> = packets.filter(|(_, data)| parse(data).is_ok()).map(|(name, _)| name).collect();
    assert_eq!(checks, ["binding_request_ice_controlled", "binding_request_ice_controlling"]);
}

#[test]
fn what_lacks_an_attribute_that_it_must_have_is_no_check() {
    let named = (USERNAME, b"evtj:h6vY".as_slice());
    assert_eq!(error(&peer::request(&[])), StunError::NoFingerprint);
    assert_eq!(error(&peer::request(&[named])), StunError::NoFingerprint);
    assert_eq!(error(&peer::fingerprinted(peer::request(&[named]))), StunError::NoIntegrity);
    assert_eq!(error(&peer::signed(peer::request(&[]), PASSWORD)), StunError::NoUsername);
    let whole = peer::signed(peer::request(&[named]), PASSWORD);
    let mut cut = whole[..whole.len() - 8].to_vec();
    cut[3] -= 8;
    assert_eq!(error(&cut), StunError::NoFingerprint);
}

#[test]
fn one_wrong_bit_anywhere_is_no_authentic_check() {
    let whole = peer::check("evtj:h6vY", PASSWORD, &[(PRIORITY, &[1; 4]), (ICE_CONTROLLING, &[1; 8])]);
    let password = Password::new(PASSWORD);
    for bit in 0..whole.len() * 8 {
        let mut data = whole.clone();
        data[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&data).is_err());
        if let Ok(check) = parse(&peer::fingerprinted(data[..data.len() - 8].to_vec())) {
            let of_fingerprint = bit / 8 >= data.len() - 8 || (2..4).contains(&(bit / 8));
            assert_eq!(check.authentic(&password), of_fingerprint, "bit {bit}");
        }
    }
}

#[test]
fn attributes_after_the_integrity_count_for_nothing() {
    let mut data = peer::check("evtj:h6vY", PASSWORD, &[]);
    data.truncate(data.len() - 8);
    peer::append(&mut data, USE_CANDIDATE, b"");
    peer::append(&mut data, ICE_CONTROLLED, &[0; 8]);
    peer::append(&mut data, USERNAME, b"other:name");
    peer::append(&mut data, INTEGRITY, &[0; 20]);
    let data = peer::fingerprinted(data);
    let check = parse(&data).unwrap();
    assert_eq!((check.fragment, check.use_candidate, check.controlled), (b"evtj".as_slice(), false, false));
    assert!(check.authentic(&Password::new(PASSWORD)));
}

#[test]
fn of_an_attribute_that_is_there_twice_the_first_counts() {
    let twice = [(PRIORITY, [1; 4].as_slice()), (PRIORITY, &[2; 4]), (USERNAME, b"other:name")];
    let data = peer::check("evtj:h6vY", PASSWORD, &twice);
    let check = parse(&data).unwrap();
    assert_eq!((check.fragment, check.priority), (b"evtj".as_slice(), Some(0x0101_0101)));
}

#[test]
fn attributes_that_nobody_knows_are_passed_over() {
    let unknown = [(0x7FFF, b"required".as_slice()), (0xC057, b"\x00\x03\x00\x0a"), (0xC001, b"odd")];
    let data = peer::check("evtj:h6vY", PASSWORD, &unknown);
    assert!(parse(&data).unwrap().authentic(&Password::new(PASSWORD)));
}

#[test]
fn attributes_of_a_wrong_length_or_place_are_no_check() {
    for wrong in [
        (PRIORITY, [1; 3].as_slice()),
        (PRIORITY, &[1; 5]),
        (ICE_CONTROLLED, &[1; 4]),
        (INTEGRITY, &[1; 19]),
        (INTEGRITY, &[1; 32]),
        (FINGERPRINT, &[1; 4]),
        (USERNAME, b"\xff\xfe:x"),
    ] {
        let data = peer::signed(peer::request(&[wrong, (USERNAME, b"evtj:h6vY")]), PASSWORD);
        assert_eq!(error(&data), StunError::Malformed, "{wrong:?}");
    }
}

#[test]
fn a_length_that_lies_is_no_request() {
    let whole = peer::check("evtj:h6vY", PASSWORD, &[]);
    for length in [0, 1, 4, whole.len() as u16 - 24, whole.len() as u16 - 16, 0xFFFC, 0xFFFF] {
        let mut data = whole.clone();
        data[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(error(&data), StunError::NotARequest);
        assert_eq!(fragment(&data), Err(StunError::NotARequest));
    }
    for length in 0..whole.len() {
        assert_eq!(error(&whole[..length]), StunError::NotARequest);
    }
    let mut odd = peer::request(&[]);
    odd.extend([0x80, 0x28]);
    odd[3] = 2;
    assert_eq!(error(&odd), StunError::NotARequest);
}

#[test]
fn an_attribute_that_ends_beyond_the_message_is_malformed() {
    let mut data = peer::request(&[(USERNAME, b"evtj:h6vY")]);
    data[23] = 0xF0;
    assert_eq!(fragment(&data), Err(StunError::Malformed));
    assert_eq!(error(&peer::fingerprinted(data)), StunError::Malformed);
}

#[test]
fn a_name_is_looked_for_in_the_first_eight_attributes() {
    let mut attributes = vec![(0xC000, b"".as_slice()); 7];
    attributes.push((USERNAME, b"evtj:h6vY"));
    assert_eq!(fragment(&peer::request(&attributes)), Ok(b"evtj".as_slice()));
    attributes.insert(0, (0xC000, b""));
    assert_eq!(fragment(&peer::request(&attributes)), Err(StunError::NoUsername));
}

#[test]
fn a_fragment_is_what_stands_before_the_first_colon_and_not_without_end() {
    let long = ["f".repeat(MAX_FRAGMENT), ":x".into()].concat();
    let too_long = "f".repeat(MAX_FRAGMENT + 1);
    let named = |name: &str| fragment(&peer::request(&[(USERNAME, name.as_bytes())])).map(<[u8]>::to_vec);
    assert_eq!(named("a:b:c"), Ok(b"a".to_vec()));
    assert_eq!(named("alone"), Ok(b"alone".to_vec()));
    assert_eq!(named(":x"), Ok(b"".to_vec()));
    assert_eq!(named(&long), Ok(vec![b'f'; MAX_FRAGMENT]));
    assert_eq!(named(&too_long), Err(StunError::Malformed));
}
