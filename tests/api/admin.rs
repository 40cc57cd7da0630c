//! The operator's command line, beside a service that runs and one that does not.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::support::{Call, House, Setup, Suspended, Wallet, cli::Ran, run};

async fn list(house: &House) -> Ran {
    let list = ["admin", "suspense", "list", "--json", "--config"];
    house.run(&[&list[..], &[&config(house)]].concat()).await
}

fn config(house: &House) -> String {
    house.config_path().display().to_string()
}

fn socket(house: &House) -> PathBuf {
    house.path("keys/admin.sock")
}

fn names(ran: &Ran) -> Vec<&Value> {
    let entries = ran.json["suspense"].as_array().unwrap();
    entries.iter().map(|entry| &entry["payment"]).collect()
}

#[test]
fn the_operator_is_served_whether_the_service_runs_or_not() {
    run(async {
        let mut house = House::new().await;
        assert_eq!(names(&list(&house).await.expect(0)).len(), 0);
        let mode = fs::metadata(socket(&house)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(house.terminate().await.success());
        assert!(!socket(&house).exists());

        let entered = [Suspended::of(40_000), Suspended::of(0)];
        for suspended in &entered {
            suspended.enter(&house.path("books.db")).await;
        }
        let stopped = list(&house).await.expect(0);
        house.start().await;
        let running = list(&house).await.expect(0);
        assert_eq!(running.json, stopped.json);
        let found = running.json["suspense"].as_array().unwrap();
        assert_eq!(found.len(), 2, "{}", running.json);
        let first = found.iter().find(|it| it["payment"] == entered[0].id);
        let first = first.expect("it is listed");
        assert_eq!(first["network"], "eip155:84532");
        assert_eq!(first["symbol"], "USDC");
        assert_eq!(first["sender"], format!("{:#x}", entered[0].sender));
        assert_eq!(first["amount"], "40000");
        assert_eq!(first["credits"], 4);
        let transaction = format!("{:#x}", entered[0].transaction);
        assert_eq!(first["transaction"], transaction);
        assert_eq!(first["reason"], "below_minimum");
        assert_eq!(first["since"], "1970-01-01T00:00:01Z");

        // A socket that a dead service left is in nobody's way.
        house.kill_9().await;
        assert!(socket(&house).exists());
        assert_eq!(list(&house).await.expect(0).json, stopped.json);
        house.start().await;
        assert_eq!(list(&house).await.expect(0).json, stopped.json);
    });
}

async fn give(house: &House, payment: &str, to: &str) -> Ran {
    let arguments = ["admin", "suspense", "move", payment, "--to", to];
    let rest = ["--note", "ticket 17", "--json", "--config"];
    house
        .run(&[&arguments[..], &rest, &[&config(house)]].concat())
        .await
}

async fn log(house: &House) -> Vec<Value> {
    let log = ["admin", "log", "--json", "--config"];
    let ran = house.run(&[&log[..], &[&config(house)]].concat()).await;
    ran.expect(0).json["actions"].as_array().unwrap().clone()
}

#[test]
fn what_is_in_suspense_is_given_to_its_owner_once() {
    run(async {
        let mut house = House::new().await;
        assert!(house.terminate().await.success());
        let (first, second) = (Suspended::of(50_000), Suspended::of(70_000));
        for suspended in [&first, &second] {
            suspended.enter(&house.path("books.db")).await;
        }
        let (wallet, other) = (Wallet::random(), Wallet::random());

        // While the service does not run, and while it does.
        let moved = give(&house, &first.id, &wallet.name()).await.expect(0);
        assert_eq!(moved.json["credits"], 5);
        assert_eq!(moved.json["wallet"], wallet.name());
        assert_eq!(moved.json["already_moved"], false);
        house.start().await;
        let moved = give(&house, &second.id, &wallet.name()).await.expect(0);
        assert_eq!(moved.json["already_moved"], false);
        let before = house.books().await;
        assert_eq!((before.units(&wallet), before.suspense()), (120_000, 0));
        assert_eq!(before.cash(), 120_000);
        assert_eq!(names(&list(&house).await.expect(0)).len(), 0);

        let again = give(&house, &first.id, &wallet.name()).await.expect(0);
        assert_eq!(again.json["already_moved"], true);
        let elsewhere = give(&house, &first.id, &other.name()).await;
        elsewhere.failed(1, "MOVED_ELSEWHERE");
        assert_eq!(house.books().await, before);

        // It is the wallet's to spend.
        let session = house.session(&wallet).await;
        for call in ["one", "two"] {
            let call = Call::forecast(&wallet, &session, call);
            house.call(&call).await.expect(200);
        }
        let log = log(&house).await;
        assert_eq!(log.len(), 2, "{log:?}");
        for (action, suspended) in log.iter().zip([&second, &first]) {
            assert_eq!(action["verb"], "suspense move");
            let arguments = format!("payment={} to={}", suspended.id, wallet.name());
            assert_eq!(action["arguments"], arguments);
            assert_eq!(action["note"], "ticket 17");
        }
    });
}

#[test]
fn what_cannot_be_moved_out_of_suspense_is_refused() {
    run(async {
        let mut house = House::new().await;
        let buyer = Wallet::random();
        let bought = house.buy(&buyer, 100).await.expect(200);
        assert!(house.terminate().await.success());
        let dust = Suspended::of(0);
        dust.enter(&house.path("books.db")).await;
        house.start().await;
        let before = house.books().await;
        let wallet = Wallet::random().name();
        let id = bought.json["purchase_id"].as_str().unwrap();
        give(&house, id, &wallet).await.failed(1, "NOT_IN_SUSPENSE");
        let unknown = Suspended::of(1).id;
        let refused = give(&house, &unknown, &wallet).await;
        refused.failed(1, "PAYMENT_NOT_FOUND");
        give(&house, &dust.id, &wallet).await.failed(1, "TOO_SMALL");
        let nobody = format!("0x{}", "0".repeat(40));
        let refused = give(&house, &dust.id, &nobody).await;
        refused.failed(1, "INVALID_REQUEST");
        give(&house, &dust.id, "0x12").await.expect(2);
        give(&house, "pur_12", &wallet).await.expect(2);
        assert_eq!(house.books().await, before);
        assert_eq!(log(&house).await.len(), 0);
    });
}

#[test]
fn moves_at_once_are_one_move() {
    run(async {
        let mut house = House::new().await;
        assert!(house.terminate().await.success());
        let suspended = Suspended::of(50_000);
        suspended.enter(&house.path("books.db")).await;
        house.start().await;
        let wallets = [Wallet::random(), Wallet::random()].map(|wallet| wallet.name());
        let to = |wallet: usize| give(&house, &suspended.id, &wallets[wallet]);
        let answers = tokio::join!(to(0), to(1), to(0), to(1), to(0), to(1));
        let answers = <[Ran; 6]>::from(answers);
        let first = |ran: &&Ran| ran.json["already_moved"] == false;
        assert_eq!(answers.iter().filter(first).count(), 1);
        assert_eq!(answers.iter().filter(|ran| ran.exit == 0).count(), 3);
        assert_eq!(house.books().await.suspense(), 0);
        assert_eq!(log(&house).await.len(), 1);
    });
}

#[test]
fn the_list_has_pages() {
    run(async {
        let mut house = House::new().await;
        house.terminate().await;
        for _ in 0..101 {
            Suspended::of(1).enter(&house.path("books.db")).await;
        }
        let first = list(&house).await.expect(0);
        assert_eq!(names(&first).len(), 100);
        let next = first.json["next"].as_str().unwrap();
        let (config, list) = (config(&house), ["admin", "suspense", "list"]);
        let rest = ["--json", "--config", &config, "--after", next];
        let second = house.run(&[&list[..], &rest].concat()).await.expect(0);
        assert_eq!(names(&second).len(), 1);
        assert!(!names(&first).contains(&names(&second)[0]));
        assert_eq!(second.json.get("next"), None);
    });
}

#[test]
fn the_operators_verbs_are_not_served_to_the_network() {
    run(async {
        let house = House::new().await;
        house.get("/suspense").await.problem(404, "NOT_FOUND");
    });
}

#[test]
fn a_command_says_why_it_cannot_reach_the_books() {
    run(async {
        let mut house = House::new().await;
        let missing = house.path("nothing.toml").display().to_string();
        let bad = ["admin", "suspense", "list", "--json", "--config", &missing];
        house.run(&bad).await.failed(2, "BAD_CONFIGURATION");

        // A service that has the books open and no socket.
        fs::remove_file(socket(&house)).unwrap();
        list(&house).await.failed(3, "UNREACHABLE");
        house.kill_9().await;
        list(&house).await.expect(0);

        house.start().await;
        let from = format!("sqlite://{}", house.path("books.db").display());
        let to = format!("sqlite://{}", house.path("others.db").display());
        house.configure(&from, &to);
        list(&house).await.failed(1, "OTHER_DATABASE");
        house.kill_9().await;
        list(&house).await.failed(3, "NO_DATABASE");
        assert!(!house.path("others.db").exists());
    });
}

#[test]
fn two_services_do_not_share_a_socket() {
    run(async {
        let first = House::new().await;
        let second = House::prepare(Setup::default()).await;
        let keys = |house: &House| format!("{}\"", house.path("keys").display());
        second.configure(&keys(&second), &keys(&first));
        let (status, told) = second.refused().await;
        assert!(!status.success());
        assert!(
            told.contains("keys.directory") && told.contains("admin.sock"),
            "{told}"
        );
        list(&first).await.expect(0);
    });
}

#[test]
fn a_service_whose_socket_cannot_be_made_serves_agents_all_the_same() {
    run(async {
        let mut house = House::prepare(Setup::default()).await;
        fs::create_dir(house.path("keys")).unwrap();
        fs::write(socket(&house), "mine").unwrap();
        house.start().await;
        assert!(house.stderr().contains("its socket cannot be made"));
        house.rich(100).await;
        assert_eq!(fs::read_to_string(socket(&house)).unwrap(), "mine");
    });
}
