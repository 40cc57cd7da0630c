//! The house stands on its floors: docs/ARCHITECTURE.md draws them, and this keeps the picture true.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The modules of each floor, from the ground up. Code uses floors below its own only; modules on
/// one floor do not see each other.
const FLOORS: [&[&str]; 6] = [
    &["base"],
    &["ledger", "auth", "payment"],
    &["store", "chain", "upstream", "x402"],
    &["service"],
    &["http", "worker", "client"],
    &["app"],
];

/// Floors 0 and 1 decide: they do not wait, look, or roll dice.
const IMPURE: [&str; 17] = [
    "async ",
    ".await",
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "serde",
    "getrandom",
    "rand::",
    "sqlx",
    "reqwest",
    "tracing",
];

/// Crates that one module alone may know, besides `app`, which wires.
const OWNED: [(&str, &str); 3] = [("axum", "http"), ("sqlx", "store"), ("utoipa", "http")];

#[test]
fn every_module_stands_on_a_floor() {
    let library = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared: Vec<&str> = library
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(!declared.is_empty(), "src/lib.rs declares no modules");
    for module in declared {
        assert!(
            floor_of(module).is_some(),
            "{module} of src/lib.rs stands on no floor"
        );
    }
}

#[test]
fn no_arrow_points_upward_or_sideways() {
    let mut broken = Vec::new();
    for (module, path, code) in files() {
        let floor = floor_of(&module).unwrap();
        for (number, line) in numbered(&code) {
            for used in modules_used(line) {
                let below = floor_of(used).is_some_and(|other| other < floor);
                if used != module && !below {
                    broken.push(format!("{}:{number}: {module} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "arrows that do not point down:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_pure_floors_are_pure() {
    let mut broken = Vec::new();
    for (module, path, code) in files() {
        if floor_of(&module).unwrap() > 1 {
            continue;
        }
        for (number, line) in numbered(&code) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!(
                    "{}:{number}: {module} has {word:?}",
                    path.display()
                ));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "impurities on floors 0 and 1:\n{}",
        broken.join("\n")
    );
}

#[test]
fn each_crate_of_the_outside_world_has_one_owner() {
    let mut broken = Vec::new();
    for (module, path, code) in files() {
        for (number, line) in numbered(&code) {
            for (name, owner) in OWNED {
                let used = line.contains(&format!("{name}::"));
                if used && module != owner && module != "app" {
                    broken.push(format!(
                        "{}:{number}: {module} knows {name}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "crates used outside their module:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(
        modules_used("use crate::{store::Store, base::Credits};"),
        ["store", "base"]
    );
    assert_eq!(
        modules_used("let at = crate::base::Timestamp::from_seconds(1);"),
        ["base"]
    );
    assert_eq!(modules_used("    ledger::{Grant, GrantId},"), ["ledger"]);
    assert!(modules_used("self.store().check()").is_empty());
    let seen: BTreeMap<String, usize> =
        files().into_iter().fold(BTreeMap::new(), |mut seen, file| {
            *seen.entry(file.0).or_default() += 1;
            seen
        });
    for module in FLOORS.iter().copied().flatten() {
        assert!(seen.contains_key(*module), "src/{module} has no files");
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Module, path and code of every file below a module's folder, tests left out.
fn files() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    for module in FLOORS.iter().copied().flatten() {
        let mut folders = vec![source().join(module)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display())) {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs")
                    && path.file_stem().is_none_or(|stem| stem != "tests")
                {
                    let code = fs::read_to_string(&path).unwrap();
                    let code = code.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
                    files.push(((*module).to_owned(), path, code));
                }
            }
        }
    }
    files
}

/// Lines of code with their numbers, comments left out.
fn numbered(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(code.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The modules of this crate that a line names in a `use` or a path from `crate`.
fn modules_used(line: &str) -> Vec<&str> {
    let names = FLOORS.iter().copied().flatten().copied();
    let mut used: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let path = format!("{name}::");
        for (at, _) in line.match_indices(&path) {
            let before = &line[..at];
            let from_crate = before.ends_with("crate::") || before.ends_with("crate::{");
            let in_group = before.trim().is_empty() && line.trim_end().ends_with([',', '{', '}'])
                || (before.contains("crate::{") && before.ends_with(", "));
            if from_crate || in_group {
                used.push((at, name));
            }
        }
    }
    used.sort_unstable();
    used.into_iter().map(|(_, name)| name).collect()
}
