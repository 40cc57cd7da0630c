//! What the service refuses to start with, and what it tells its operator.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use serde_json::json;

use crate::support::{
    Call, Chain, House, Setup, Wallet,
    client::{PURCHASE, SESSION, purchase},
    random, run,
};

/// A change to the usual configuration, and what the refusal must name.
const REFUSED: [(&str, &str, &[&str]); 24] = [
    ("[limits]\n", "[limits]\nlimit = 1\n", &["limits.limit"]),
    ("[purchase]\n", "[purchases]\n", &["purchases:"]),
    (
        "[purchase]\n",
        "[purchase]\nstep = 100\n",
        &["purchase.step"],
    ),
    (
        "slug = \"weather\"\n",
        "slug = \"weather\"\nprice = 1\n",
        &["tool[0].price"],
    ),
    (
        "path = \"/forecast\"\n",
        "paths = \"/forecast\"\n",
        &["tool[0].action[0].paths"],
    ),
    (
        "decimals = 6\n",
        "decimals = 6\nname = \"USDC\"\n",
        &["network[0].asset[0].name"],
    ),
    (
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "0x036CbD53842c5426634e7929541eC2318f3dCF7E",
        &[
            "network[0].asset[0].address",
            "0x036CbD53842c5426634e7929541eC2318f3dCF7E",
        ],
    ),
    (
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "0x036C",
        &["network[0].asset[0].address", "0x036C"],
    ),
    ("pay_to = \"0x", "pay_to = \"0y", &["network[0].pay_to"]),
    (
        "slug = \"echo\"",
        "slug = \"weather\"",
        &["tool[1].slug", "weather"],
    ),
    (
        "slug = \"shout\"",
        "slug = \"say\"",
        &["tool[1].action[1].slug", "say"],
    ),
    (
        "slug = \"shout\"",
        "slug = \"Shout it\"",
        &["tool[1].action[1].slug", "Shout it"],
    ),
    (
        "price_credits = \"5\"",
        "price_credits = \"0\"",
        &["tool[0].action[0].price_credits"],
    ),
    (
        "price_credits = \"5\"",
        "price_credits = \"0.00001\"",
        &["tool[0].action[0].price_credits", "0.00001"],
    ),
    (
        "price_credits = \"5\"",
        "price_credits = 5",
        &["tool[0].action[0].price_credits"],
    ),
    (
        "price_credits = \"5\"\n",
        "",
        &["tool[0].action[0].price_credits"],
    ),
    (
        "\"object\"",
        "\"objekt\"",
        &["tool[0].action[0].parameters"],
    ),
    ("internal://echo", "internal://shell", &["tool[1].base_url"]),
    (
        "lifetime_seconds = 900",
        "lifetime_seconds = 90_000",
        &["session.lifetime_seconds"],
    ),
    ("127.0.0.1:0", "localhost", &["server.listen", "localhost"]),
    (
        "id = \"eip155:84532\"",
        "id = \"base-sepolia\"",
        &["network[0].id", "base-sepolia"],
    ),
    (
        "confirmations = 1",
        "confirmations = 0",
        &["network[0].confirmations"],
    ),
    ("sqlite://", "postgres://", &["database.url"]),
    ("[server]", "[server", &["line "]),
];

#[test]
fn a_configuration_with_a_mistake_is_refused_by_name() {
    run(async {
        for (from, to, named) in REFUSED {
            let house = House::prepare(Setup::default().with(from, to)).await;
            let (status, said) = house.refused().await;
            assert!(!status.success(), "{to}: {said}");
            let line = said
                .lines()
                .find(|line| named.iter().all(|name| line.contains(name)));
            assert!(line.is_some(), "{to}: none names {named:?}:\n{said}");
            // Refused before anything was made.
            assert!(!house.path("books.db").exists(), "{to}");
            assert!(!house.path("keys").exists(), "{to}");
        }
    });
}

#[test]
fn all_mistakes_are_told_at_once() {
    run(async {
        let setup = Setup::default()
            .with("price_credits = \"5\"", "price_credits = \"five\"")
            .with("decimals = 6", "decimals = 60")
            .with("[limits]\n", "[limits]\nlimit = 1\n");
        let house = House::prepare(setup).await;
        let (status, said) = house.refused().await;
        assert_eq!(status.code(), Some(1), "{said}");
        // An unknown key hides nothing but the values of its own table.
        assert!(said.contains("limits.limit"), "{said}");
        house.configure("limit = 1\n", "");
        let (_, said) = house.refused().await;
        for name in [
            "tool[0].action[0].price_credits",
            "network[0].asset[0].decimals",
        ] {
            assert!(said.contains(name), "{name}: {said}");
        }
    });
}

#[test]
fn a_file_that_is_missing_is_named() {
    run(async {
        let house = House::prepare(Setup::default()).await;
        fs::remove_file(house.config_path()).unwrap();
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("counterfoil.toml"), "{said}");
    });
}

#[test]
fn the_relayers_key_must_be_there_and_be_a_key() {
    run(async {
        let house = House::prepare(Setup::default()).await;
        let key = fs::read_to_string(house.path("relayer.key")).unwrap();
        fs::write(house.path("relayer.key"), &key[..60]).unwrap();
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("relayer.key"), "{said}");
        assert!(!said.contains(&key[..60]), "the key itself is in the log");

        fs::write(house.path("relayer.key"), "0".repeat(64)).unwrap();
        let (status, said) = house.refused().await;
        assert!(!status.success(), "zero is no key: {said}");

        fs::remove_file(house.path("relayer.key")).unwrap();
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("relayer.key"), "{said}");

        house.configure("relayer_key_file", "# relayer_key_file");
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("network[0].relayer_key_file"), "{said}");
    });
}

#[test]
fn a_node_of_another_chain_is_refused() {
    run(async {
        let house = House::prepare(Setup::default().with("eip155:84532", "eip155:8453")).await;
        let (status, said) = house.refused().await;
        assert!(!status.success());
        let line = said
            .lines()
            .find(|line| line.contains("84532") && line.contains("8453"));
        assert!(line.is_some(), "{said}");
    });
}

#[test]
fn a_node_that_is_away_keeps_nobody_from_spending() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = House::with(Setup::on(chain.clone())).await;
        let wallet = house.rich(100).await;
        house.get("/readyz").await.expect(200);
        chain.stop().await;
        house.restart().await;
        house.get("/readyz").await.problem(503, "UNAVAILABLE");
        house.get("/healthz").await.expect(200);
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "offline");
        house.call(&call).await.expect(200);

        // A purchase waits for the node, and is not judged without it.
        let payment = house.quote(&wallet, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await;
        let reply = reply.problem(503, "UNAVAILABLE");
        assert!(reply.header("retry-after").is_some());
        assert_eq!(house.books().await.payments("purchase credited"), 1);
    });
}

#[test]
fn two_servers_do_not_share_their_books() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("books.db"), "{said}");
        // The one that runs has not noticed.
        assert_eq!(house.balance(&wallet).await["balance_credits"], 100);
    });
}

#[test]
fn another_session_key_is_refused() {
    run(async {
        let mut house = House::new().await;
        let wallet = house.rich(100).await;
        house.terminate().await;
        let path = house.path("keys/session.key");
        let key = fs::read(&path).unwrap();
        fs::write(&path, hex::encode(random())).unwrap();
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("keys.directory"), "{said}");
        fs::write(&path, key).unwrap();
        house.start().await;
        assert_eq!(house.balance(&wallet).await["balance_credits"], 100);
    });
}

#[test]
fn keys_are_made_for_the_operator_alone() {
    run(async {
        let house = House::new().await;
        let mode = |name: &str| {
            let permissions = fs::metadata(house.path(name)).unwrap().permissions();
            permissions.mode() & 0o777
        };
        assert_eq!((mode("keys"), mode("keys/session.key")), (0o700, 0o600));
        let log = house.stderr();
        let key = fs::read_to_string(house.path("keys/session.key")).unwrap();
        assert!(!log.contains(key.trim()), "the session key is in the log");
    });
}

#[test]
fn a_house_without_networks_sells_nothing_over_x402() {
    run(async {
        let mut house = House::prepare(Setup::default()).await;
        let text = fs::read_to_string(house.config_path()).unwrap();
        let (before, rest) = text.split_once("[[network]]").unwrap();
        let (_, tools) = rest.split_once("[[tool]]").unwrap();
        fs::write(house.config_path(), format!("{before}[[tool]]{tools}")).unwrap();
        house.start().await;
        let wallet = Wallet::random();
        let reply = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        assert_eq!(reply.expect(402).json["accepts"], json!([]));
        let tool = house.get("/api/external/tools/weather").await.expect(200);
        assert_eq!(tool.json["actions"][0]["x402"], false);
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "no-networks");
        let reply = house.call(&call).await.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.header("payment-required"), None);
        house.get("/readyz").await.expect(200);
    });
}

#[test]
fn the_environment_overrides_the_file() {
    run(async {
        let mut house = House::prepare(Setup::default()).await;
        house.environment("COUNTERFOIL__SESSION__LIFETIME_SECONDS", "77");
        house.start().await;
        let wallet = Wallet::random();
        let body = json!({ "wallet_address": wallet.name() });
        let reply = house.post(SESSION, &body).await;
        assert_eq!(reply.expect(200).json["expires_in"], 77);
        house.terminate().await;
        house.environment("COUNTERFOIL__SESSION__LIFE", "77");
        let (status, said) = house.refused().await;
        assert!(!status.success());
        assert!(said.contains("session.life:"), "{said}");
    });
}
