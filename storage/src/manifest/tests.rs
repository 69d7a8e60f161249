//! Manifests: round trip, damage, newer versions, other owners.

use super::*;

fn manifest() -> Manifest {
    let broker = BrokerId::new(3).expect("three is an id");
    let identity = Identity { cluster: "abc".into(), broker };
    Manifest { identity, directory: [9; 16], shards: 4 }
}

#[test]
fn a_manifest_is_read_as_written_and_damage_is_seen() {
    let page = manifest().encode();
    assert_eq!(page.len(), PAGE_BYTES);
    assert_eq!(Manifest::decode(&page).expect("intact"), manifest());
    for at in 0..PAGE_BYTES {
        let mut damaged = page.clone();
        damaged[at] ^= 1;
        assert!(Manifest::decode(&damaged).is_err(), "byte {at}");
    }
    let mut newer = page;
    newer[8] = 2;
    newer[12..16].fill(0);
    sign(&mut newer);
    assert!(matches!(Manifest::decode(&newer), Err(OpenError::Newer(2))));
}

#[test]
fn other_owners_are_refused() {
    let ours = manifest().identity;
    let other_cluster = Identity { cluster: "abd".into(), ..ours.clone() };
    let other_broker = Identity { broker: BrokerId::new(4).expect("four"), ..ours.clone() };
    assert!(manifest().check(&ours).is_ok());
    for other in [other_cluster, other_broker] {
        assert!(matches!(manifest().check(&other), Err(OpenError::WrongOwner { .. })));
    }
}
