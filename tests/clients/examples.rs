//! The examples, as their readers start them. Each buys 100 credits and makes one call for 5.

use std::{fs::File, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use crate::{
    money::{fund, paid},
    script::{Program, inherited, installed, root, secret_key},
    support::{House, Wallet, run},
};

async fn buys_calls_and_reads_its_balance(program: Program, last_line: &str) {
    let house = House::new().await;
    let wallet = fund(&house, 100).await;
    let key_file = house.path("agent.key");
    write_key(&key_file, &wallet);
    let program = program
        .variable("COUNTERFOIL_URL", house.url(""))
        .variable("COUNTERFOIL_KEY_FILE", key_file);
    let said = program.run().await.done();

    assert_eq!(said.lines().last(), Some(last_line));
    paid(&house, &wallet, &[100], 0).await;
    assert_eq!(house.balance(&wallet).await["available_credits"], 95);
    assert_eq!(house.tools.count(), 1);
    let books = house.books().await;
    assert_eq!(
        (
            books.payments("purchase credited"),
            books.charges("captured")
        ),
        (1, 1)
    );
}

/// As `counterfoil keygen` and the demo write it.
fn write_key(path: &Path, wallet: &Wallet) {
    let mut options = File::options();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    writeln!(file, "{}", secret_key(wallet)).unwrap();
}

#[test]
fn typescript() {
    installed("examples/typescript/node_modules/.package-lock.json");
    let npm = Program::new(Path::new("npm"))
        .directory(&root().join("examples/typescript"))
        .argument("start");
    run(buys_calls_and_reads_its_balance(
        npm,
        "95 credits left, 0.95 USD",
    ));
}

#[test]
fn python() {
    installed("examples/python/.venv/.installed");
    let directory = root().join("examples/python");
    let python = Program::new(&directory.join(".venv/bin/python"))
        .directory(&directory)
        .argument("main.py");
    run(buys_calls_and_reads_its_balance(
        python,
        "95 credits left, 0.95 USD",
    ));
}

#[test]
fn curl() {
    installed("examples/curl/.venv/.installed");
    let directory = root().join("examples/curl");
    let mut path = directory.join(".venv/bin:").into_os_string();
    path.push(inherited("PATH"));
    let script = Program::new(&directory.join("run.sh"))
        .directory(&directory)
        .variable("PATH", path);
    run(buys_calls_and_reads_its_balance(script, "credits left: 95"));
}

#[test]
fn rust() {
    // Cargo builds examples with the tests, and tells tests nothing of where.
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    let agent = profile.join("examples/agent");
    assert!(
        agent.exists(),
        "build it first: `cargo build --example agent`"
    );
    run(buys_calls_and_reads_its_balance(
        Program::new(&agent),
        "95 credits left, 0.95 USD",
    ));
}
