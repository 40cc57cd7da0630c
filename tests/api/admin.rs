//! The operator's command line, beside a service that runs and one that does not.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::support::{House, Setup, Suspended, cli::Ran, run};

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
