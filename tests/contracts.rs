//! The contracts: their own tests pass, what is checked in is what their sources build, and nobody
//! makes a purchase dearer unseen. forge does the work; this gives it a place in `cargo test`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// forge keeps what it compiled in `contracts/out`, for one at a time.
static FORGE: Mutex<()> = Mutex::new(());

#[test]
fn the_tests_of_the_contracts_pass() {
    let _alone = FORGE.lock().unwrap();
    npm(&["test"]);
}

#[test]
fn gas_is_as_recorded() {
    let _alone = FORGE.lock().unwrap();
    npm(&["run", "gas:check"]);
}

/// Built from nothing into another folder, so that a run of this test mends nothing.
#[test]
fn the_artifacts_are_what_the_sources_build() {
    let kept = files_in(&contracts().join("artifacts"));
    let folder = tempfile::tempdir().unwrap();
    npm(&["run", "build", "--", folder.path().to_str().unwrap()]);
    let built = files_in(folder.path());
    assert!(!built.is_empty(), "the build wrote no artifacts");
    for (name, text) in &built {
        assert!(
            kept.get(name) == Some(text),
            "contracts/artifacts/{name} is stale: run `npm run build` in contracts"
        );
    }
    for name in kept.keys() {
        assert!(
            built.contains_key(name),
            "contracts/artifacts/{name} is built from nothing: delete it"
        );
    }
}

/// Runs a script of `contracts/package.json`, and shows what it said if it failed.
fn npm(arguments: &[&str]) {
    let installed = contracts().join("node_modules/@foundry-rs/forge");
    assert!(
        installed.exists(),
        "contracts/node_modules lacks forge: run `make setup`"
    );
    let output = Command::new("npm")
        .arg("--silent")
        .args(arguments)
        .current_dir(contracts())
        .output()
        .expect("npm should be installed, as the README says");
    assert!(
        output.status.success(),
        "`npm {}` in contracts failed:\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts")
}

/// The text of each file of a folder, by name.
fn files_in(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}
