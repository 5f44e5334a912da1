//! The copy of the reference with the bugs in it, and the workspace that builds it with its driver.

use super::plan::{Plan, Site};
use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the tests of a file begin: nothing is planted behind it.
const TESTS: &str = "#[cfg(test)]\nmod tests {";
/// What the copy says otherwise, so that bugs can change gas schedules and opcode tables, and that no machine and no group is
/// kept from one bug to the next: file, original, replacement.
const REDIRECTED: [(&str, &str, &str); 5] = [
    ("lane.rs", "&SCHEDULES[fork as usize]", "crate::planted::schedule(fork)"),
    ("program.rs", "SCHEDULES[priced as usize]", "crate::planted::schedule(priced)"),
    (
        "program.rs",
        "pub(crate) fn rows(environment: &Environment) -> Rows {",
        "pub(crate) fn rows(environment: &Environment) -> Rows { crate::planted::rows(environment) }\n\n\
         pub(crate) fn plain_rows(environment: &Environment) -> Rows {",
    ),
    (
        "pool.rs",
        "let kept = MACHINES.with_borrow_mut(Vec::pop);",
        "if crate::planted::is_new_here() { MACHINES.with_borrow_mut(Vec::clear); }\n    \
         let kept = MACHINES.with_borrow_mut(Vec::pop);",
    ),
    (
        "lockstep/mod.rs",
        "let mut group = GROUP.with_borrow_mut(Option::take)",
        "if crate::planted::is_new_to_groups() { GROUP.set(None); }\n        \
         let mut group = GROUP.with_borrow_mut(Option::take)",
    ),
];

/// Writes the workspace; returns its folder.
pub fn plant(plan: &Plan) -> Result<PathBuf> {
    let root = shell::root();
    let folder = root.join("target/mutants");
    let source = folder.join("planted/src");
    if source.exists() {
        fs::remove_dir_all(&source).with_context(|| source.display().to_string())?;
    }
    copy(&root.join("cpu/src"), &source)?;
    redirect(&source)?;
    for file in plan.sites.iter().map(|site| &site.file).collect::<std::collections::BTreeSet<_>>() {
        let path = source.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let sites: Vec<&Site> = plan.sites.iter().filter(|site| site.file == *file).collect();
        write(&path, &edit(file, &text, &sites)?)?;
    }
    write(&source.join("planted.rs"), &switch(plan, &read(&root.join("xtask/mutants/driver/planted.rs"))?)?)?;
    let lib = source.join("lib.rs");
    let text = format!("#![allow(warnings)]\npub mod planted;\n{}", read(&lib)?.replace("//!", "//"));
    write(&lib, &text)?;
    manifests(&root, &folder)?;
    let driver = folder.join("driver/src");
    fs::create_dir_all(&driver).with_context(|| driver.display().to_string())?;
    write(&driver.join("main.rs"), &read(&root.join("xtask/mutants/driver/main.rs"))?)?;
    Ok(folder)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    // Unchanged files keep their time, so that nothing is built again.
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in from.read_dir().with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            write(&target, &read(&entry.path())?)?;
        }
    }
    Ok(())
}

/// Makes the changes that let bugs be where no text of a body is.
fn redirect(source: &Path) -> Result<()> {
    for (file, original, replacement) in REDIRECTED {
        let path = source.join(file);
        let text = read(&path)?;
        ensure!(
            text.contains(original),
            "cpu/src/{file} has no {original:?} any more: correct xtask/src/mutants/plant.rs"
        );
        write(&path, &text.replace(original, replacement))?;
    }
    Ok(())
}

/// The text of a file with all its sites made switches.
fn edit(file: &str, text: &str, sites: &[&Site]) -> Result<String> {
    let end = text.find(TESTS).unwrap_or(text.len());
    let (body, tests) = text.split_at(end);
    let mut places = Vec::with_capacity(sites.len());
    for site in sites {
        // The sites name the original text; some of it is redirected by now.
        let redirected = REDIRECTED.iter().filter(|(of, ..)| of == &file);
        let find = redirected.fold(site.find.clone(), |find, (_, original, other)| find.replace(original, other));
        let mut found = body.match_indices(&find);
        match (found.next(), found.next()) {
            (Some((at, _)), None) => places.push((at, find, *site)),
            (None, _) => {
                bail!("cpu/src/{file} has no {:?} any more: correct the table in xtask/mutants/bugs", site.find)
            }
            (Some(_), Some(_)) => {
                bail!("cpu/src/{file} has {:?} more than once: name more of its surroundings", site.find)
            }
        }
    }
    places.sort_by_key(|(at, ..)| *at);
    let mut edited = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for (at, find, site) in places {
        ensure!(at >= done, "cpu/src/{file}: {:?} overlaps another site", site.find);
        edited.push_str(&body[done..at]);
        edited.push_str(&choice(&find, site));
        done = at + find.len();
    }
    edited.push_str(&body[done..]);
    edited.push_str(tests);
    Ok(edited)
}

/// `if on(1) { … } else if on(2) { … } else { original }`, as statements or in parentheses as an expression.
fn choice(find: &str, site: &Site) -> String {
    let mut text = String::new();
    for (number, plant) in &site.bugs {
        let _ = write!(text, "if crate::planted::on({number}) {{ {plant} }} else ");
    }
    let _ = write!(text, "{{ {find} }}");
    if find.ends_with([';', '}']) { text } else { format!("({text})") }
}

/// The module that says which bug is active.
fn switch(plan: &Plan, template: &str) -> Result<String> {
    let arms = |changes: &[(usize, String)]| -> String {
        changes.iter().map(|(number, change)| format!("        {number} => {{ {change}; }}\n")).collect()
    };
    let names: String = plan.bugs.iter().map(|bug| format!("    ({:?}, {:?}),\n", bug.backend, bug.name)).collect();
    let mut text = template.to_owned();
    for (mark, replacement) in
        [("// SCHEDULES", arms(&plan.schedule)), ("// ROWS", arms(&plan.rows)), ("// NAMES", names)]
    {
        ensure!(text.matches(mark).count() == 1, "xtask/mutants/driver/planted.rs: expected {mark:?} once");
        text = text.replace(mark, &replacement);
    }
    Ok(text)
}

/// The manifests of the workspace, of the copy and of the driver: versions, features and profiles are the checkout's.
fn manifests(root: &Path, folder: &Path) -> Result<()> {
    let original: toml::Table = read(&root.join("Cargo.toml"))?.parse().context("Cargo.toml")?;
    let mut workspace = original.get("workspace").and_then(toml::Value::as_table).context("no workspace")?.clone();
    workspace.insert("members".into(), vec!["planted", "driver"].into());
    let dependencies =
        workspace.get_mut("dependencies").and_then(toml::Value::as_table_mut).context("no dependencies")?;
    for (_, dependency) in dependencies.iter_mut() {
        if let Some(path) = dependency.as_table_mut().and_then(|table| table.get_mut("path")) {
            let absolute = root.join(path.as_str().unwrap_or_default());
            *path = absolute.to_string_lossy().into_owned().into();
        }
    }
    let mut manifest = toml::Table::new();
    manifest.insert("workspace".into(), workspace.into());
    if let Some(profile) = original.get("profile") {
        manifest.insert("profile".into(), profile.clone());
    }
    write(&folder.join("Cargo.toml"), &toml::to_string(&manifest)?)?;

    let mut copy: toml::Table = read(&root.join("cpu/Cargo.toml"))?.parse().context("cpu/Cargo.toml")?;
    let package = copy.get_mut("package").and_then(toml::Value::as_table_mut).context("cpu/Cargo.toml: no package")?;
    package.insert("name".into(), "isolane-planted".into());
    copy.remove("dev-dependencies");
    copy.remove("lints");
    write(&folder.join("planted/Cargo.toml"), &toml::to_string(&copy)?)?;

    let driver = format!(
        "[package]\nname = \"isolane-mutants\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         isolane = {{ path = {:?} }}\nisolane-planted = {{ path = \"../planted\" }}\nserde_json = \"1\"\nrayon = \"1.12\"\n",
        root.to_string_lossy()
    );
    fs::create_dir_all(folder.join("driver")).context("the driver's folder")?;
    write(&folder.join("driver/Cargo.toml"), &driver)?;
    let lock = folder.join("Cargo.lock");
    if !lock.exists() {
        fs::copy(root.join("Cargo.lock"), &lock).with_context(|| lock.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(find: &str, plant: &str) -> Site {
        Site { file: "a.rs".into(), find: find.into(), bugs: vec![(7, plant.into())] }
    }

    #[test]
    fn statements_and_expressions_become_switches() {
        let text = "fn f() { a(); let b = c + d; }\n#[cfg(test)]\nmod tests { c + d }";
        let sites = [site("a();", ""), site("c + d", "c - d")];
        let edited = edit("a.rs", text, &sites.iter().collect::<Vec<_>>()).expect("two places");
        assert_eq!(
            edited,
            "fn f() { if crate::planted::on(7) {  } else { a(); } let b = (if crate::planted::on(7) { c - d } else { c + d \
             }); }\n#[cfg(test)]\nmod tests { c + d }"
        );
    }

    #[test]
    fn a_place_that_is_missing_twice_there_or_taken_is_an_error() {
        for (text, sites) in [
            ("a", vec![site("b", "c")]),
            ("a a", vec![site("a", "c")]),
            ("abc", vec![site("ab", "c"), site("bc", "c")]),
        ] {
            assert!(edit("a.rs", text, &sites.iter().collect::<Vec<_>>()).is_err(), "{text}");
        }
    }

    /// Each site of the table is still in the source, once.
    #[test]
    fn every_bug_has_its_place() {
        let plan = super::super::plan::read(&shell::root().join("xtask/mutants/bugs")).expect("the table");
        let files: std::collections::BTreeSet<&String> = plan.sites.iter().map(|site| &site.file).collect();
        for file in files {
            let text = read(&shell::root().join("cpu/src").join(file)).expect("a file of the reference");
            let redirected = REDIRECTED.iter().filter(|(of, ..)| of == file);
            let text = redirected.fold(text, |text, (_, original, other)| text.replace(original, other));
            let sites: Vec<&Site> = plan.sites.iter().filter(|site| site.file == *file).collect();
            edit(file, &text, &sites).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
