//! ICE-lite: who is answered, where media goes, how long a 5-tuple is held.

mod peer;

use packet_plane::Micros;
use packet_plane::ice::{Checked, Credentials, IceLite, MAX_CREDENTIALS, MAX_TUPLES, QUIET, Tuple};
use packet_plane::stun::parse;
use peer::{Answer, ICE_CONTROLLED, PRIORITY, USE_CANDIDATE};

const NOMINATE: &[(u16, &[u8])] = &[(USE_CANDIDATE, b"")];
const SECOND: Micros = 1_000_000;

fn credentials(fragment: &str) -> Credentials {
    Credentials { fragment: fragment.into(), password: format!("the password of {fragment}") }
}

fn tuple(port: u16) -> Tuple {
    Tuple { local: 0, remote: ([192, 0, 2, 1], port).into() }
}

/// Check with the credentials of `fragment`; what came of it, and the answer.
fn check(
    ice: &mut IceLite,
    fragment: &str,
    more: &[(u16, &[u8])],
    port: u16,
    now: Micros,
) -> Option<(Checked, Answer)> {
    let password = credentials(fragment).password;
    let data = peer::check(&format!("{fragment}:peer"), &password, more);
    let mut reply = Vec::new();
    let checked = ice.check(&parse(&data).unwrap(), tuple(port), now, &mut reply);
    assert_eq!(checked.is_none(), reply.is_empty());
    checked.map(|checked| (checked, Answer::read(&reply, &password)))
}

#[test]
fn an_authentic_check_is_answered_with_the_address_it_came_from() {
    let mut ice = IceLite::new(credentials("a"));
    let (checked, answer) = check(&mut ice, "a", &[(PRIORITY, &[1; 4])], 1000, SECOND).unwrap();
    assert_eq!(checked, Checked::default());
    assert_eq!(answer.address(), tuple(1000).remote);
    assert_eq!((ice.selected, ice.nominated, ice.alive_at), (Some(tuple(1000)), false, Some(SECOND)));
}

#[test]
fn a_check_that_is_not_authentic_gets_no_answer_and_counts_for_nothing() {
    let mut ice = IceLite::new(credentials("a"));
    let forged = peer::check("a:peer", "another password", NOMINATE);
    for data in [forged, peer::check("b:peer", "the password of a", NOMINATE), peer::check(":peer", "", NOMINATE)] {
        let mut reply = Vec::new();
        assert_eq!(ice.check(&parse(&data).unwrap(), tuple(1000), 0, &mut reply), None);
        assert!(reply.is_empty());
    }
    assert_eq!((ice.selected, ice.nominated, ice.alive_at, ice.tuples().count()), (None, false, None, 0));
}

#[test]
fn a_peer_that_wants_to_be_controlled_is_told_of_the_conflict_and_selects_nothing() {
    let mut ice = IceLite::new(credentials("a"));
    let controlled = [(ICE_CONTROLLED, [0; 8].as_slice()), (USE_CANDIDATE, b"")];
    let (_, answer) = check(&mut ice, "a", &controlled, 1000, 0).unwrap();
    assert_eq!(answer.error(), 487);
    assert_eq!((ice.selected, ice.tuples().count()), (None, 0));
}

#[test]
fn the_first_valid_tuple_is_selected_then_whichever_is_nominated() {
    let mut ice = IceLite::new(credentials("a"));
    check(&mut ice, "a", &[], 1000, 0);
    check(&mut ice, "a", &[], 2000, 0);
    assert_eq!((ice.selected, ice.nominated), (Some(tuple(1000)), false));
    check(&mut ice, "a", NOMINATE, 2000, 0);
    assert_eq!((ice.selected, ice.nominated), (Some(tuple(2000)), true));
    check(&mut ice, "a", &[], 1000, 0);
    assert_eq!((ice.selected, ice.nominated), (Some(tuple(2000)), true));
}

#[test]
fn a_selected_tuple_that_fell_silent_gives_way_to_one_that_is_checked() {
    let mut ice = IceLite::new(credentials("a"));
    check(&mut ice, "a", NOMINATE, 1000, 0);
    check(&mut ice, "a", &[], 2000, QUIET);
    assert_eq!(ice.selected, Some(tuple(1000)));
    check(&mut ice, "a", &[], 2000, QUIET + 1);
    assert_eq!((ice.selected, ice.nominated), (Some(tuple(2000)), true));
}

#[test]
fn a_selected_tuple_that_sends_media_stays_selected_without_checks() {
    let mut ice = IceLite::new(credentials("a"));
    check(&mut ice, "a", NOMINATE, 1000, 0);
    ice.heard(tuple(1000), 9 * SECOND);
    assert!(ice.holds(tuple(1000), 19 * SECOND));
    check(&mut ice, "a", &[], 2000, 19 * SECOND);
    assert_eq!((ice.selected, ice.alive_at), (Some(tuple(1000)), Some(19 * SECOND)));
    assert!(!ice.holds(tuple(1000), 19 * SECOND + 1));
    assert!(!ice.holds(tuple(3000), 0));
}

#[test]
fn eight_tuples_are_kept_and_the_selected_one_always() {
    let mut ice = IceLite::new(credentials("a"));
    check(&mut ice, "a", NOMINATE, 1000, 0);
    let dropped: Vec<_> = (0..12).map(|port| check(&mut ice, "a", &[], 3000 + port, 0).unwrap().0.dropped).collect();
    assert_eq!(dropped[..7], [None; 7]);
    assert_eq!(dropped[7..], [3000, 3001, 3002, 3003, 3004].map(|port| Some(tuple(port))));
    assert_eq!((ice.tuples().count(), ice.selected), (MAX_TUPLES, Some(tuple(1000))));
    assert!(ice.knows(tuple(1000)) && ice.knows(tuple(3011)) && !ice.knows(tuple(3000)));
}

#[test]
fn old_credentials_hold_until_the_new_ones_are_used() {
    let mut ice = IceLite::new(credentials("a"));
    assert_eq!(ice.restart(credentials("b")), None);
    assert!(check(&mut ice, "a", &[], 1000, 0).is_some());
    assert_eq!(ice.fragments().collect::<Vec<_>>(), ["a", "b"]);
    let (checked, _) = check(&mut ice, "b", NOMINATE, 2000, 0).unwrap();
    assert_eq!(checked.retired, ["a"]);
    assert!(check(&mut ice, "a", NOMINATE, 1000, 0).is_none());
    assert_eq!(ice.selected, Some(tuple(2000)));
}

#[test]
fn credentials_in_use_hold_over_restarts_that_were_never_used() {
    let mut ice = IceLite::new(credentials("a"));
    let ended: Vec<_> = (0..6).map(|number| ice.restart(credentials(&format!("r{number}")))).collect();
    assert_eq!(ended, [None, None, None, Some("r0".into()), Some("r1".into()), Some("r2".into())]);
    assert_eq!(ice.fragments().count(), MAX_CREDENTIALS);
    assert!(check(&mut ice, "a", &[], 1000, 0).is_some());
    assert!(check(&mut ice, "r0", &[], 1000, 0).is_none());
    assert_eq!(check(&mut ice, "r4", &[], 1000, 0).unwrap().0.retired, ["a", "r3"]);
    assert_eq!(ice.fragments().collect::<Vec<_>>(), ["r4", "r5"]);
}

#[test]
fn what_is_forgotten_comes_back_with_the_next_check() {
    let mut ice = IceLite::new(credentials("a"));
    check(&mut ice, "a", NOMINATE, 1000, 0);
    ice.forget();
    assert_eq!((ice.selected, ice.alive_at, ice.tuples().count()), (None, None, 0));
    check(&mut ice, "a", &[], 2000, SECOND);
    assert_eq!((ice.selected, ice.alive_at), (Some(tuple(2000)), Some(SECOND)));
}

#[test]
fn a_connection_that_goes_leaves_its_place_to_the_tuple_heard_last() {
    let mut ice = IceLite::new(credentials("a"));
    for (port, now) in [(1000, 0), (2000, SECOND), (3000, 2 * SECOND)] {
        check(&mut ice, "a", &[], port, now);
    }
    assert!(!ice.closed(tuple(3000), 3 * SECOND));
    assert!(ice.closed(tuple(1000), 3 * SECOND));
    assert_eq!(ice.selected, Some(tuple(2000)));
    check(&mut ice, "a", &[], 4000, 4 * SECOND);
    assert!(ice.closed(tuple(2000), 4 * SECOND + QUIET + 1));
    assert_eq!(ice.selected, None);
    check(&mut ice, "a", &[], 5000, 20 * SECOND);
    assert_eq!(ice.selected, Some(tuple(5000)));
}

#[test]
fn a_password_is_never_printed() {
    assert_eq!(format!("{:?}", credentials("a")), "Credentials { fragment: \"a\", .. }");
}
