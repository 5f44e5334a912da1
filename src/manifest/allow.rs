//! `[environment.X.allow]` and `[environment.X.rules]`.

use super::Context;
use super::source::{Result, Table, Value, nearest};
use isolane_spec::opcode::OPCODES;
use isolane_spec::{
    AddressRule, BlobSchedule, EnvironmentId, ExtraPrecompiles, Level, MessagePolicy, OpcodeSet, Peers, Permissions,
    Precompile, PrecompileSet, Rules,
};

/// What `[environment.X.allow]` says.
pub(super) struct Allow {
    pub permissions: Permissions,
    /// `None`: it says nothing about messages.
    pub messages: Option<MessagePolicy>,
}

/// Reads `[environment.X.allow]`.
pub(super) fn read_allow(context: &Context<'_>, value: &Value<'_>) -> Result<Allow> {
    let allow = value.table()?;
    let level = allow.read("level", |value| value.one_of(&Level::ALL.map(|level| (level.name(), level))))?;
    let mut permissions = Permissions::level(level.unwrap_or_default());
    permissions.senders = addresses(&allow, "senders", "deny_senders")?;
    permissions.callees = addresses(&allow, "callees", "deny_callees")?;
    for (name, permission) in [
        ("calls", &mut permissions.calls),
        ("create", &mut permissions.create),
        ("logs", &mut permissions.logs),
        ("value", &mut permissions.value),
        ("delegations", &mut permissions.delegations),
        ("state", &mut permissions.state),
    ] {
        if let Some(allowed) = allow.read(name, all_or_none)? {
            *permission = allowed;
        }
    }
    if let Some(denied) = allow.read("deny_opcodes", opcodes)? {
        permissions.denied_opcodes = denied;
    }
    if let Some(only) = allow.read("precompiles", |value| value.all_or(|item| precompile(&item)))? {
        let denied = |only: Vec<Precompile>| only.into_iter().fold(PrecompileSet::ALL, PrecompileSet::without);
        permissions.denied_precompiles = only.map_or(PrecompileSet::EMPTY, denied);
    }
    if let Some(more) = allow.read("deny_precompiles", precompiles)? {
        for one in Precompile::ALL.into_iter().filter(|one| more.contains(*one)) {
            permissions.denied_precompiles = permissions.denied_precompiles.with(one);
        }
    }
    let messages = read_messages(context, &allow)?;
    if messages.is_some() {
        permissions.messages = true;
    }
    allow.done()?;
    Ok(Allow { permissions, messages })
}

fn read_messages(context: &Context<'_>, allow: &Table<'_>) -> Result<Option<MessagePolicy>> {
    let peers = |value: &Value<'_>| {
        let listed = value.all_or(|item| {
            let index = context.environment(&item)?;
            let name = context.names.get(index).copied().unwrap_or_default();
            EnvironmentId::new(name).map_err(|error| item.at.error(error))
        })?;
        Ok(listed.map_or(Peers::All, Peers::Only))
    };
    let [send_to, receive_from, read_from, read_by] = [
        allow.read("send_to", peers)?,
        allow.read("receive_from", peers)?,
        allow.read("read_from", peers)?,
        allow.read("read_by", peers)?,
    ];
    if [&send_to, &receive_from, &read_from, &read_by].iter().all(|peers| peers.is_none()) {
        return Ok(None);
    }
    Ok(Some(MessagePolicy {
        send_to: send_to.unwrap_or(Peers::NONE),
        read_from: read_from.unwrap_or(Peers::NONE),
        // Whoever may call may look.
        read_by: read_by.or_else(|| receive_from.clone()).unwrap_or(Peers::NONE),
        receive_from: receive_from.unwrap_or(Peers::NONE),
        ..MessagePolicy::default()
    }))
}

fn all_or_none(value: &Value<'_>) -> Result<bool> {
    if value.as_text().is_some() { value.one_of(&[("all", true), ("none", false)]) } else { value.flag() }
}

fn addresses(allow: &Table<'_>, only: &'static str, except: &'static str) -> Result<AddressRule> {
    let only = allow.read(only, |value| value.all_or(|item| item.address()))?.flatten();
    let except = allow.read(except, |value| value.items()?.iter().map(Value::address).collect())?;
    Ok(AddressRule { only: only.map(|list| list.into_iter().collect()), except: except.unwrap_or_default() })
}

fn opcodes(value: &Value<'_>) -> Result<OpcodeSet> {
    value.items()?.iter().map(opcode).collect()
}

/// An opcode by its name, or by its byte.
fn opcode(value: &Value<'_>) -> Result<u8> {
    let Some(name) = value.as_text() else { return Ok(value.number(0, 255)? as u8) };
    let name = match name {
        "KECCAK256" | "SHA3" if OPCODES.iter().all(|row| row.name != name) => {
            if name == "SHA3" {
                "KECCAK256"
            } else {
                "SHA3"
            }
        }
        other => other,
    };
    OPCODES.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.byte).ok_or_else(|| {
        let near = nearest(name, OPCODES.iter().map(|row| row.name)).map(|name| format!("{name:?}"));
        value.wrong("the name or the byte of an opcode").nearest(near)
    })
}

fn precompiles(value: &Value<'_>) -> Result<PrecompileSet> {
    let listed = value.items()?.iter().map(precompile).collect::<Result<Vec<_>>>()?;
    Ok(listed.into_iter().fold(PrecompileSet::EMPTY, PrecompileSet::with))
}

/// A precompile by the number of its address, or by its name.
fn precompile(value: &Value<'_>) -> Result<Precompile> {
    const EXPECTED: &str = "a precompile: 1 to 17, 256, or a name such as \"P256VERIFY\"";
    match value.as_text() {
        Some(name) => named_precompile(name).ok_or_else(|| {
            let near = nearest(name, Precompile::ALL.map(Precompile::name)).map(|name| format!("{name:?}"));
            value.wrong(EXPECTED).nearest(near)
        }),
        None => {
            let number = value.number(1, 256)?;
            let found = Precompile::ALL.into_iter().find(|one| one.address().to_low_u64_be() == number);
            found.ok_or_else(|| value.wrong(EXPECTED).nearest(Some("17".to_owned())))
        }
    }
}

fn named_precompile(name: &str) -> Option<Precompile> {
    Precompile::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
}

/// Reads `[environment.X.rules]` into the rules of a fork.
pub(super) fn read_rules(value: &Value<'_>, rules: &mut Rules) -> Result<()> {
    let table = value.table()?;
    if let Some(extra) = table.read("extra_opcodes", opcodes)? {
        rules.extra_opcodes = extra;
    }
    if let Some(removed) = table.read("removed_opcodes", opcodes)? {
        rules.removed_opcodes = removed;
    }
    if let Some(removed) = table.read("removed_precompiles", precompiles)? {
        rules.removed_precompiles = removed;
    }
    if let Some(extra) = table.get("extra_precompiles") {
        let mut places = ExtraPrecompiles::NONE;
        for (name, place) in extra.table()?.entries() {
            let one = named_precompile(name).ok_or_else(|| {
                let near = nearest(name, Precompile::ALL.map(Precompile::name)).map(|name| format!("{name:?}"));
                place.at.error(format!("no precompile {name:?}")).nearest(near)
            })?;
            places = places.with(one, place.address()?);
        }
        rules.extra_precompiles = places;
    }
    if let Some(blobs) = table.get("blob_schedule") {
        let blobs = blobs.table()?;
        let number = |name: &'static str| blobs.need(name, "a number").and_then(|value| value.number(1, 1 << 40));
        let (target, max) = (number("target")?, number("max")?);
        rules.blob_schedule =
            BlobSchedule { target, max, base_fee_update_fraction: number("base_fee_update_fraction")? };
        blobs.done()?;
    }
    table.done()
}
