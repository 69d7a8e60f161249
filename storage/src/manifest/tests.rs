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
    for version in [1, 3] {
        let mut other = page.clone();
        other[8] = version;
        other[12..16].fill(0);
        sign(&mut other);
        let refused = Manifest::decode(&other);
        assert!(matches!(refused, Err(OpenError::Version(it)) if it == u32::from(version)));
    }
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
