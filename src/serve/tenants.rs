//! Tenants: who may call, what, how much of it, and with which share of the machine.

use super::jsonrpc::Failure;
use crate::manifest::source::{Document, Result, Table, Value, read_text};
use crate::manifest::{read_budget, read_permissions};
use crate::schedule::Share;
use isolane_spec::{Budget, EnvironmentId, Permissions};
use sha2::{Digest, Sha256};
use std::num::NonZeroU32;
use std::path::Path;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The most tenants of a server.
const MAX_TENANTS: usize = 4096;
/// The fewest characters of a key.
const LEAST_KEY: usize = 16;
/// The most characters of a key.
const MOST_KEY: usize = 256;
/// Requests of a tenant that are under way at once, unless its table says otherwise.
const CONCURRENCY: u64 = 100_000;

/// A tenant: an execution environment of its own on the state that all share.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name in metrics and logs.
    pub name: String,
    /// What its calls may do.
    pub permissions: Permissions,
    /// What each of its calls may use.
    pub budget: Budget,
    /// Its share of the machine.
    pub share: Share,
    /// Its requests that are under way at once; more are refused.
    pub concurrency: usize,
    /// The methods that it may call; `None` = all.
    methods: Option<Vec<Pattern>>,
}

/// A method's name, or the beginning of several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    open: bool,
}

impl Pattern {
    fn read(value: &Value<'_>) -> Result<Self> {
        let text = value.text()?;
        let (name, open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || name.is_empty() && !open {
            return Err(
                value.wrong("the name of a method, or the beginning of some with a * behind it, such as \"eth_*\"")
            );
        }
        Ok(Self { text: name.to_owned(), open })
    }

    fn covers(&self, method: &str) -> bool {
        if self.open { method.starts_with(&self.text) } else { method == self.text }
    }
}

impl Tenant {
    /// Whoever calls, where no tenants are named: everything is allowed.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "anonymous".to_owned(),
            permissions: Permissions::default(),
            budget: Budget::default(),
            share: Share::default(),
            concurrency: CONCURRENCY as usize,
            methods: None,
        }
    }

    /// Whether it may call a method.
    #[must_use]
    pub fn may_call(&self, method: &str) -> bool {
        self.methods.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.covers(method)))
    }

    /// Whether its executions are other than plain Ethereum's: then nothing of them is left to the node.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.permissions != Permissions::default() || self.budget != Budget::default()
    }

    /// How much of the machine `concurrency` requests are, for messages.
    pub(super) fn full(&self) -> Failure {
        Failure::limit(format!(
            "limit exceeded: {} requests of {} are under way, which is the most: wait for answers, or raise its concurrency",
            self.concurrency, self.name
        ))
    }
}

/// The tenants of a server, and their keys.
#[derive(Clone, Debug)]
pub struct Tenants {
    list: Vec<Tenant>,
    /// The hashes of keys with the index of their tenant; `None`: everyone is the first tenant.
    keys: Option<Vec<([u8; 32], u32)>>,
}

impl Tenants {
    /// One tenant, which needs no key.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { list: vec![Tenant::anonymous()], keys: None }
    }

    /// Reads a file of tenants.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, line and key.
    pub fn read(path: &Path) -> Result<Self> {
        let (name, text) = read_text(path)?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a file of tenants.
    ///
    /// # Errors
    /// See [`Tenants::read`].
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let document = Document::parse(name, text)?;
        let root = document.root();
        let table = root.need("tenant", "at least one [tenant.NAME]")?;
        root.done()?;
        let entries = table.table()?.entries();
        if entries.is_empty() || entries.len() > MAX_TENANTS {
            return Err(table.wrong(format!("1 to {MAX_TENANTS} tenants")));
        }
        let (mut list, mut keys) = (Vec::new(), Vec::<([u8; 32], u32)>::new());
        for (name, value) in &entries {
            EnvironmentId::new(name).map_err(|error| value.at.error(error))?;
            let (tenant, own) = read_tenant(name, value)?;
            for (key, at) in own {
                if let Some((_, other)) = keys.iter().find(|(known, _)| *known == key) {
                    let other = list.get(*other as usize).map_or(*name, |tenant: &Tenant| &tenant.name);
                    return Err(at.at.error(format!("the key is that of {other} too: every key once")));
                }
                keys.push((key, list.len() as u32));
            }
            list.push(tenant);
        }
        Ok(Self { list, keys: Some(keys) })
    }

    /// All tenants, by index.
    #[must_use]
    pub fn list(&self) -> &[Tenant] {
        &self.list
    }

    /// Whether callers need a key.
    #[must_use]
    pub const fn need_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The index of the tenant that a caller is. The time that it takes does not depend on how much of a key is right, or
    /// whose it is.
    #[must_use]
    pub fn of_key(&self, key: Option<&str>) -> Option<usize> {
        let Some(keys) = &self.keys else { return Some(0) };
        let hash = hash(key?);
        let (mut found, mut tenant) = (Choice::from(0), 0u32);
        for (known, index) in keys {
            let equal = known.ct_eq(&hash);
            tenant.conditional_assign(index, equal);
            found |= equal;
        }
        bool::from(found).then_some(tenant as usize)
    }
}

/// Keys are kept and compared as hashes, which all have one length.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// A tenant, and its keys with their places.
type Read<'a> = (Tenant, Vec<([u8; 32], Value<'a>)>);

fn read_tenant<'a>(name: &str, value: &Value<'a>) -> Result<Read<'a>> {
    let table = value.table()?;
    let mut keys = Vec::new();
    for key in listed(&table, "keys")? {
        let text = key.text()?;
        let length = text.len();
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if !plain || !(LEAST_KEY..=MOST_KEY).contains(&length) {
            // The key itself stays out of the message.
            return Err(key.at.error(format!(
                "expected a key of {LEAST_KEY} to {MOST_KEY} letters, digits, or any of -_.~, got one of {length} \
                 characters: make one with `openssl rand -hex 24`"
            )));
        }
        keys.push((hash(text), key));
    }
    for key in listed(&table, "key_hashes")? {
        keys.push((key.hash()?.0, key));
    }
    if keys.is_empty() {
        return Err(table.at.error("expected keys or key_hashes (the SHA-256 of each key), got none"));
    }
    let methods = match table.get("methods") {
        Some(methods) => methods.all_or(|item| Pattern::read(&item))?,
        None => None,
    };
    let mut share = Share::default();
    if let Some(weight) = table.read("weight", |value| value.number(1, 1_000_000))? {
        share.weight = NonZeroU32::new(weight as u32).unwrap_or(share.weight);
    }
    let tenant = Tenant {
        name: name.to_owned(),
        permissions: table.read("allow", read_permissions)?.unwrap_or_default(),
        budget: table.read("budget", read_budget)?.unwrap_or_default(),
        share,
        concurrency: table.read("concurrency", |value| value.number(1, 10_000_000))?.unwrap_or(CONCURRENCY) as usize,
        methods,
    };
    table.done()?;
    Ok((tenant, keys))
}

fn listed<'a>(table: &Table<'a>, name: &'static str) -> Result<Vec<Value<'a>>> {
    table.get(name).map_or_else(|| Ok(Vec::new()), |list| list.items())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::Level;

    const FILE: &str = r#"
[tenant.indexer]
keys = ["0123456789abcdef-one", "0123456789abcdef-two"]
weight = 4
[tenant.guest]
key_hashes = ["0x2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
methods = ["eth_*", "net_version"]
concurrency = 3
allow = { level = "read-only", deny_opcodes = ["BLOBHASH"] }
budget = { gas = 1_000_000, steps = 50_000 }
"#;

    #[test]
    fn keys_lead_to_tenants() {
        let tenants = Tenants::parse("t.toml", FILE).expect("tenants");
        assert!(tenants.need_keys());
        assert_eq!(tenants.of_key(Some("0123456789abcdef-one")), Some(0));
        assert_eq!(tenants.of_key(Some("0123456789abcdef-two")), Some(0));
        // SHA-256 of "foo".
        assert_eq!(tenants.of_key(Some("foo")), Some(1));
        for wrong in [None, Some(""), Some("0123456789abcdef-thr"), Some("0123456789abcdef-on")] {
            assert_eq!(tenants.of_key(wrong), None, "{wrong:?}");
        }
        assert_eq!(Tenants::anonymous().of_key(None), Some(0));
    }

    #[test]
    fn tenants_are_what_their_tables_say() {
        let tenants = Tenants::parse("t.toml", FILE).expect("tenants");
        let [indexer, guest] = tenants.list() else { panic!("two tenants") };
        assert!(!indexer.is_restricted() && indexer.may_call("debug_traceCall"));
        assert_eq!(indexer.share.weight.get(), 4);
        assert!(guest.is_restricted() && guest.may_call("eth_call") && guest.may_call("net_version"));
        assert!(!guest.may_call("net_versions") && !guest.may_call("debug_traceCall"));
        assert_eq!((guest.budget.gas, guest.budget.steps, guest.concurrency), (1_000_000, 50_000, 3));
        assert!(!guest.permissions.state && guest.permissions.denied_opcodes.contains(0x49));
        let level = Permissions::level(Level::ReadOnly);
        assert_eq!(Permissions { denied_opcodes: level.denied_opcodes, ..guest.permissions.clone() }, level);
    }

    #[test]
    fn mistakes_are_named() {
        let twice = FILE.replace("key_hashes", "keys = [\"0123456789abcdef-one\"]\nkey_hashes");
        for (text, expected) in [
            ("", "expected the key \"tenant\""),
            ("[tenant]\n", "1 to 4096 tenants"),
            ("[tenant.a]\nkeys = []\n", "expected keys or key_hashes"),
            ("[tenant.a]\nkeys = [\"short\"]\n", "t.toml:2: tenant.a.keys[0]: expected a key of 16 to 256"),
            ("[tenant.a]\nkeys = [\"0123456789abcdef\"]\nwieght = 3\n", "did you mean \"weight\"?"),
            ("[tenant.a]\nkeys = [\"0123456789abcdef\"]\nweight = 0\n", "a number from 1 to 1000000"),
            ("[tenant.a]\nkeys = [\"0123456789abcdef\"]\nallow = { send_to = [\"b\"] }\n", "remove the key"),
            ("[tenant.a]\nkeys = [\"0123456789abcdef\"]\nbudget = { gas = 3 }\n", "a number from 21000"),
            ("[tenant.a]\nkeys = [\"0123456789abcdef\"]\nmethods = [\"eth-call\"]\n", "the name of a method"),
            (&twice, "every key once"),
        ] {
            let error = Tenants::parse("t.toml", text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = Tenants::parse("t.toml", "[tenant.a]\nkeys = [\"my secret\"]\n").expect_err("a short key");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
