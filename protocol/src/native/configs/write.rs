//! How resources, their configurations and changes to them are written.

use flatbuffers::WIPOffset;

use super::{Change, Changes, Described, Query, generated};
use crate::native::encoder::Builder;

pub(super) fn query<'b>(
    it: &Query<'_>,
    builder: &mut Builder,
) -> WIPOffset<generated::ConfigResource<'b>> {
    let (type_, name) = it.resource.parts();
    let keys: Vec<_> = it.keys.iter().map(|key| builder.create_string(key)).collect();
    let fields = generated::ConfigResourceArgs {
        type_,
        name: Some(builder.create_string(name)),
        keys: (!keys.is_empty()).then(|| builder.create_vector(&keys)),
    };
    generated::ConfigResource::create(builder, &fields)
}

pub(super) fn described<'b>(
    it: &Described<'_>,
    builder: &mut Builder,
) -> WIPOffset<generated::ConfigsOf<'b>> {
    let (type_, name) = it.resource.parts();
    let mut entries = Vec::with_capacity(it.entries.len());
    for entry in it.entries {
        let fields = generated::ConfigEntryArgs {
            name: Some(builder.create_string(entry.name)),
            value: entry.value.map(|value| builder.create_string(value)),
            source: entry.source,
            read_only: entry.read_only,
            sensitive: entry.sensitive,
        };
        entries.push(generated::ConfigEntry::create(builder, &fields));
    }
    let fields = generated::ConfigsOfArgs {
        error: it.error.code(),
        message: (!it.message.is_empty()).then(|| builder.create_string(it.message)),
        type_,
        name: Some(builder.create_string(name)),
        entries: Some(builder.create_vector(&entries)),
    };
    generated::ConfigsOf::create(builder, &fields)
}

pub(super) fn changes<'b>(
    it: &Changes<'_>,
    builder: &mut Builder,
) -> WIPOffset<generated::ConfigChanges<'b>> {
    use generated::ConfigOperation as Operation;
    let (type_, name) = it.resource.parts();
    let mut changes = Vec::with_capacity(it.changes.len());
    for (key, change) in it.changes {
        let (operation, value) = match change {
            Change::Set(value) => (Operation::Set, Some(value)),
            Change::Delete => (Operation::Delete, None),
            Change::Append(value) => (Operation::Append, Some(value)),
            Change::Subtract(value) => (Operation::Subtract, Some(value)),
        };
        let fields = generated::ConfigChangeArgs {
            name: Some(builder.create_string(key)),
            operation,
            value: value.map(|value| builder.create_string(value)),
        };
        changes.push(generated::ConfigChange::create(builder, &fields));
    }
    let fields = generated::ConfigChangesArgs {
        type_,
        name: Some(builder.create_string(name)),
        changes: Some(builder.create_vector(&changes)),
    };
    generated::ConfigChanges::create(builder, &fields)
}
