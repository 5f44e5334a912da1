//! The rules of the house, where a machine can check them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 5] = ["spec", "cpu", "shaders", "gpu", "xtask"];
/// Longest file, in lines.
const LINES: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of the checkout but build outputs, relative to its root, with any of these extensions.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name();
            let hidden = name.to_string_lossy().starts_with('.') && name != ".ci" && name != ".cargo";
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                if !hidden && name != "target" && name != "node_modules" {
                    walk(&entry.path(), found);
                }
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.retain(|path| path.extension().is_some_and(|e| extensions.iter().any(|extension| e == *extension)));
    let mut found: Vec<PathBuf> =
        found.iter().map(|path| path.strip_prefix(root()).expect("inside").to_path_buf()).collect();
    found.sort();
    assert!(!found.is_empty(), "no files with the extensions {extensions:?}");
    found
}

/// The names of all dependencies in a manifest, for building and for tests.
fn dependencies(member: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(root().join(member).join("Cargo.toml")).parse().expect("a manifest");
    let mut names = BTreeSet::new();
    for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
        if let Some(table) = manifest.get(key).and_then(toml::Value::as_table) {
            names.extend(table.keys().cloned());
        }
    }
    assert!(!manifest.contains_key("target"), "{member}: look at its dependencies by target here, too");
    names
}

/// `spec <- cpu`, `spec <- shaders <- gpu`, and the root crate above them.
#[test]
fn crates_depend_in_one_direction() {
    let forbidden = |member: &str, names: &[&str]| {
        let there = dependencies(member);
        for name in names {
            assert!(!there.contains(*name), "{member}/Cargo.toml must not name {name}: see ARCHITECTURE.md");
        }
    };
    forbidden("cpu", &["isolane", "isolane-gpu", "isolane-shaders", "wgpu", "naga"]);
    forbidden("gpu", &["isolane", "isolane-cpu"]);
    forbidden("shaders", &["isolane", "isolane-cpu", "isolane-gpu", "wgpu"]);
    let of_spec = dependencies("spec");
    for name in &of_spec {
        let plain = ["bytemuck", "bytes", "hashbrown", "primitive-types", "sha3"];
        assert!(
            plain.contains(&name.as_str()),
            "spec/Cargo.toml must not name {name}: spec is words and numbers alone"
        );
    }
    for member in MEMBERS {
        assert!(member == "gpu" || !dependencies(member).contains("wgpu"), "only gpu knows wgpu, not {member}");
    }
    assert!(!dependencies(".").contains("wgpu"), "only gpu knows wgpu");
}

#[test]
fn spec_has_no_io_and_no_threads() {
    for path in files(&["rs"]).iter().filter(|path| path.starts_with("spec/src")) {
        let text = read(root().join(path));
        for word in
            ["std::fs", "std::io", "std::net", "std::thread", "std::process", "std::env", "println!", "eprintln!"]
        {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Where code without the compiler's guarantees may be, and why: functions compiled for instruction sets that not every
/// machine has, the one call of wgpu that takes bytes on trust, and the tool's allocator, which is written in C.
const UNSAFE: [&str; 3] = ["cpu/src/lockstep/simd", "gpu/src/pipeline_cache.rs", "src/allocator.rs"];

#[test]
fn unsafe_code_is_where_it_may_be() {
    let workspace: toml::Table = read(root().join("Cargo.toml")).parse().expect("a manifest");
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    for path in files(&["rs"]).iter().filter(|path| !UNSAFE.iter().any(|there| path.starts_with(there))) {
        let allowed = read(root().join(path)).contains(concat!("unsafe", "_code"));
        assert!(!allowed || path.ends_with("tests/tidy.rs"), "{}: {UNSAFE:?} alone may", path.display());
    }
    for member in MEMBERS.iter().chain(&["."]) {
        let manifest: toml::Table = read(root().join(member).join("Cargo.toml")).parse().expect("a manifest");
        assert_eq!(
            manifest["lints"]["workspace"].as_bool(),
            Some(true),
            "{member}/Cargo.toml: [lints] workspace = true"
        );
    }
}

#[test]
fn files_are_short_and_finished() {
    let unfinished = ["todo", "unimplemented"].map(|word| format!("{word}!("));
    for path in files(&["rs", "wgsl", "py", "sh", "js", "md"]) {
        let text = read(root().join(&path));
        let generated = path.starts_with("shaders/generated");
        let lines = text.lines().count();
        assert!(generated || lines <= LINES, "{}: {lines} lines, at most {LINES}: split it", path.display());
        if path.extension().is_some_and(|extension| extension == "rs") {
            for word in &unfinished {
                assert!(!text.contains(word.as_str()), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn markdown_links_lead_somewhere() {
    let mut links = 0;
    for path in files(&["md"]) {
        let text = read(root().join(&path));
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', ' ', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let file = root().join(&path).parent().expect("a folder").join(target);
            assert!(file.exists(), "{}: the link to {target} leads nowhere", path.display());
        }
    }
    assert!(links > 0, "no links found: is the pattern right?");
}

/// Words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_architecture_is_as_pictured() {
    let text = read(root().join("ARCHITECTURE.md"));
    let extensions = [".rs", ".wgsl", ".md", ".toml", "/"];
    let named: BTreeSet<&str> = quoted(&text)
        .filter(|word| !word.contains([' ', '*', '<', '(']) && extensions.iter().any(|end| word.ends_with(end)))
        .collect();
    assert!(named.len() > 20, "too few paths found: is the pattern right?");
    for path in &named {
        let path = root().join(path);
        assert!(path.exists(), "ARCHITECTURE.md names {}, which does not exist", path.display());
    }
    for parent in ["", "src"] {
        for entry in fs::read_dir(root().join(parent)).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let skipped = name.starts_with('.') || ["target", "node_modules"].contains(&name.as_str());
            if entry.file_type().expect("a kind").is_dir() && !skipped {
                let folder = if parent.is_empty() { format!("{name}/") } else { format!("{parent}/{name}/") };
                assert!(named.contains(folder.as_str()), "ARCHITECTURE.md does not name {folder}");
            }
        }
    }
}

/// Every command line of the README exists, with its flags.
#[test]
fn the_readme_names_real_commands() {
    let text = read(root().join("README.md"));
    let command = isolane::cli::command();
    let mut seen = BTreeSet::new();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    for line in blocks.flat_map(str::lines) {
        let Some(rest) = line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("isolane ")) else {
            continue;
        };
        let mut words = rest.split(" #").next().unwrap_or_default().split_whitespace();
        let name = words.next().expect("a subcommand");
        let subcommand =
            command.find_subcommand(name).unwrap_or_else(|| panic!("README.md: no command {name}: {line}"));
        seen.insert(name.to_owned());
        for flag in words.filter(|word| word.starts_with('-')) {
            let known = subcommand.get_arguments().any(|argument| {
                let long = argument.get_long().map(|long| format!("--{long}"));
                let short = argument.get_short().map(|short| format!("-{short}"));
                long.as_deref() == Some(flag) || short.as_deref() == Some(flag)
            });
            assert!(known, "README.md: `isolane {name}` has no {flag}");
        }
    }
    for name in ["replay", "run", "test", "diff", "devices", "fetch"] {
        assert!(seen.contains(name), "README.md does not show `isolane {name}`");
    }
}

/// Every task of `cargo xtask` that the documents name is there.
#[test]
fn the_documents_name_real_tasks() {
    let main = read(root().join("xtask/src/main.rs"));
    for path in files(&["md"]) {
        for rest in read(root().join(&path)).split("cargo xtask ").skip(1) {
            let task: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            let mut variant = task.clone();
            variant[..1].make_ascii_uppercase();
            assert!(main.contains(&format!("    {variant}(")), "{}: no task {task:?}", path.display());
        }
    }
}
