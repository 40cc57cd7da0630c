//! What a configuration may say, and what an operator is told when it may not.

use std::{num::NonZeroU64, time::Duration};

use super::*;
use crate::{
    base::Credits,
    payment::{Confirmations, PlainTransfers, TransferMethod},
    upstream::{Method, Target},
};

const REFERENCE: &str = include_str!("../../../docs/CONFIGURATION.md");

const NETWORK: &str = r#"
[[network]]
id = "eip155:84532"
rpc_url = "http://127.0.0.1:8545"
pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
relayer_key_file = "relayer.key"
[[network.asset]]
address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
symbol = "USDC"
decimals = 6
eip712_name = "USDC"
eip712_version = "2"
"#;

const TOOL: &str = r#"
[[tool]]
slug = "weather"
base_url = "http://127.0.0.1:9000"
[[tool.action]]
slug = "forecast"
price_credits = "5"
"#;

fn config(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, [])
}

/// The problems of a text, as an operator sees them.
fn problems(text: &str) -> Vec<String> {
    let problems = config(text).expect_err("the configuration was taken");
    problems.iter().map(ToString::to_string).collect()
}

/// The only problem of a text.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

fn example() -> &'static str {
    let block = REFERENCE.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = config("").unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:4020".parse().unwrap());
    assert_eq!(config.server.metrics_listen, None);
    assert_eq!(config.server.public_url, "http://127.0.0.1:4020");
    assert_eq!(config.database_file, Path::new("counterfoil.db"));
    assert_eq!(config.keys_directory, Path::new("keys"));
    assert_eq!(config.session.lifetime_seconds, 900);
    assert_eq!(config.purchase.step, Credits::from_whole(100).unwrap());
    assert_eq!(config.purchase.settle_wait, Duration::from_secs(4));
    let policy = &config.purchase.transfer_policy;
    assert_eq!(policy.plain_transfers, PlainTransfers::Claim);
    assert_eq!(policy.min, Credits::from_whole(1).unwrap());
    assert!(policy.omnibus_senders.is_empty());
    assert_eq!(config.limits.response_bytes_max, 1_048_576);
    assert!(config.networks.is_empty());
    assert!(config.catalogue.tools().is_empty());
}

#[test]
fn the_reference_ends_in_an_example_that_works_and_repeats_the_defaults() {
    let (example, defaults) = (config(example()).unwrap(), config("").unwrap());
    assert_eq!(example.server, defaults.server);
    assert_eq!(example.database_file, defaults.database_file);
    assert_eq!(example.keys_directory, defaults.keys_directory);
    assert_eq!(example.session, defaults.session);
    assert_eq!(example.purchase, defaults.purchase);
    assert_eq!(example.limits, defaults.limits);

    let [network] = example.networks.as_slice() else {
        panic!("{:?}", example.networks)
    };
    assert_eq!(network.id.to_string(), "eip155:84532");
    assert_eq!(network.rpc_urls.len(), 2);
    assert_eq!(network.confirmations, Confirmations::Safe);
    assert_eq!(network.facilitators, [Facilitator::Local]);
    let [relayer] = network.relayer_keys.as_slice() else {
        panic!("{:?}", network.relayer_keys)
    };
    assert_eq!(relayer.path, Path::new("relayer.key"));
    assert_eq!(
        (&relayer.password, network.relayer_low_settlements),
        (&None, 50)
    );
    let [asset] = network.assets.as_slice() else {
        panic!("{:?}", network.assets)
    };
    assert_eq!(asset.domain.asset.network, network.id);
    assert_eq!((asset.decimals, asset.domain.version.as_str()), (6, "2"));

    let slugs: Vec<_> = example.catalogue.tools().iter().collect();
    assert_eq!(slugs.len(), 2);
    assert_eq!(slugs[1].target(), &Target::Echo);
    assert_eq!(slugs[1].name(), "echo");
    let forecast = slugs[0].only_action().unwrap();
    assert_eq!(forecast.parameters()["required"][0], "place");
    let say = slugs[1].only_action().unwrap();
    assert_eq!((say.method(), say.path()), (Method::Post, "/"));
    assert_eq!((say.price().units(), say.x402()), (1_000, false));
    assert_eq!(say.timeout(), forecast.timeout());
}

/// The keys of a table, as the message about an unknown one lists them.
fn keys(text: &str) -> Vec<String> {
    let problem = problem(text);
    let (_, keys) = problem.split_once("the keys here are ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_has_a_row_for_every_key_under_its_table() {
    for (title, text) in [
        ("## `[server]`", "[server]\nunknown = 1"),
        ("## `[database]`", "[database]\nunknown = 1"),
        ("## `[keys]`", "[keys]\nunknown = 1"),
        ("## `[session]`", "[session]\nunknown = 1"),
        ("## `[purchase]`", "[purchase]\nunknown = 1"),
        ("## `[limits]`", "[limits]\nunknown = 1"),
        ("## `[[network]]`", "[[network]]\nunknown = 1"),
        (
            "## `[[network.asset]]`",
            "[[network]]\nasset = [{unknown = 1}]",
        ),
        (
            "## A facilitator elsewhere",
            &replaced(NETWORK, "facilitator = {url = 'http://a', unknown = 1}"),
        ),
        ("## `[[tool]]`", "[[tool]]\nunknown = 1"),
        ("## `[[tool.action]]`", "[[tool]]\naction = [{unknown = 1}]"),
    ] {
        let section = REFERENCE.split(title).nth(1).expect(title);
        let section = section.split("\n## ").next().unwrap();
        let section = section.split("\n### ").next().unwrap();
        let rows = section.lines().filter_map(|line| {
            let (key, _) = line.strip_prefix("| `")?.split_once('`')?;
            Some(key.to_owned())
        });
        assert_eq!(rows.collect::<Vec<_>>(), keys(text), "{title}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_table() {
    for (text, key) in [
        ("[server]\nlisen = 'x'", "server.lisen: is no key"),
        ("[sever]\nlisten = 'x'", "sever: is no key"),
        ("typo = 1", "typo: is no key"),
        (
            &format!("{NETWORK}chain = 1"),
            "network[0].asset[0].chain: is no key",
        ),
        (
            &format!("{TOOL}price = 1"),
            "tool[0].action[0].price: is no key",
        ),
    ] {
        assert!(problem(text).starts_with(key), "{:?}", problem(text));
    }
}

#[test]
fn every_problem_of_every_table_is_reported_at_once() {
    let shape = "[server]\nlisten = 1\n[session]\nlifetime_seconds = 'x'\n[[tool]]\nslug = 'a'";
    assert_eq!(
        problems(shape),
        [
            "server.listen: must be a string",
            "session.lifetime_seconds: must be a whole number",
            "tool[0].base_url: is missing",
        ]
    );
    let meaning = "[server]\nlisten = 'x'\npublic_url = 'y'\n[session]\nlifetime_seconds = 0";
    assert_eq!(problems(meaning).len(), 3);
}

#[test]
fn a_syntax_error_has_its_line_and_does_not_show_it() {
    let problem = problem("[server]\n\nlisten = secret");
    assert!(problem.starts_with("line 3: "), "{problem}");
    assert!(!problem.contains("secret"), "{problem}");
}

/// Each a line of a table, and the beginning of what is said of it.
fn assert_problems(cases: &[(&str, &str)], write: impl Fn(&str) -> String) {
    for (line, expected) in cases {
        let problem = problem(&write(line));
        assert!(problem.contains(expected), "{line}: {problem}");
        let key = line.split(' ').next().unwrap();
        assert!(problem.contains(key), "{line}: {problem}");
    }
}

#[test]
fn wrong_values_of_the_server_and_its_database() {
    assert_problems(
        &[
            (
                "listen = 'localhost:4020'",
                "\"localhost:4020\" is not an IP address",
            ),
            ("listen = '127.0.0.1'", "is not an IP address and port"),
            ("metrics_listen = '127.0.0.1:4020'", "choose another port"),
            ("metrics_listen = 'x'", "is not an IP address"),
            ("public_url = 'ftp://a.example'", "is not an http://"),
            ("public_url = 'http://a.example/api'", "is not an http://"),
            ("public_url = 'http://a.example?x'", "is not an http://"),
            ("public_url = 'http://u:p@a.example'", "is not an http://"),
            ("shutdown_seconds = 0", "0 is not within 1 and 600"),
            ("trusted_proxies = '127.0.0.1'", "must be"),
            (
                "trusted_proxies = ['::1', 'localhost']",
                "trusted_proxies[1]: \"localhost\" is not an IP address",
            ),
            (
                "shutdown_seconds = -1",
                "must be a whole number, not negative",
            ),
        ],
        |line| format!("[server]\n{line}"),
    );
    assert_problems(
        &[
            ("url = 'postgres://u:hush@h/db'", "SQLite only"),
            ("url = 'postgresql://u:hush@h/db'", "SQLite only"),
            ("url = 'mysql://u:hush@h/db'", "must be sqlite://"),
            ("url = 'sqlite://'", "names no file"),
            ("url = 'sqlite://?mode=rwc'", "names no file"),
            ("url = 'sqlite://:memory:'", "in memory"),
            ("url = 'sqlite://x?mode=memory'", "in memory"),
        ],
        |line| format!("[database]\n{line}"),
    );
    assert!(!problem("[database]\nurl = 'postgres://u:hush@h/db'").contains("hush"));
}

#[test]
fn a_public_url_loses_its_last_slash() {
    for text in ["https://Pay.Example/", "https://pay.example:443"] {
        let config = config(&format!("[server]\npublic_url = '{text}'")).unwrap();
        assert_eq!(config.server.public_url, "https://pay.example");
    }
}

#[test]
fn wrong_values_of_sessions_purchases_and_limits() {
    assert_problems(
        &[
            ("lifetime_seconds = 86401", "is not within 1 and 86400"),
            ("lifetime_seconds = 0", "is not within"),
            ("replay_seconds = 0", "is not within"),
        ],
        |line| format!("[session]\n{line}"),
    );
    assert_problems(
        &[
            ("step_credits = 30", "is not a multiple of step_credits, 30"),
            (
                "min_credits = 150",
                "\"150\" is not a multiple of step_credits, 100",
            ),
            ("min_credits = 2000000", "is above max_credits, 1000000"),
            ("max_credits = 1000000100", "is not within"),
            ("quote_seconds = 3601", "is not within 1 and 3600"),
            ("settle_wait_seconds = 61", "is not within 0 and 60"),
            ("plain_transfers = 'refund'", "is neither"),
            ("min_transfer_credits = -1", "is not within 0 and"),
            ("omnibus_senders = ['0x12']", "\"0x12\""),
            ("omnibus_senders = '0x12'", "must be"),
            ("max_credits = 1.5", "must be a whole number"),
        ],
        |line| match line {
            "step_credits = 30" => format!("[purchase]\n{line}\nmin_credits = 30"),
            _ => format!("[purchase]\n{line}"),
        },
    );
    // A step that is no step is one problem, not a division by zero.
    for step in ["0", "-100", "-9223372036854775808"] {
        assert!(
            problem(&format!("[purchase]\nstep_credits = {step}")).contains("is not within"),
            "{step}"
        );
    }
    assert_problems(
        &[
            ("request_bytes_max = 1023", "is not within"),
            ("response_bytes_max = 16777217", "is not within"),
            ("stored_replies_bytes_max = 0", "is not within"),
            ("failed_signatures_per_minute = 0", "is not within"),
            ("in_flight_max = 0", "is not within"),
            ("payments_in_flight_max = 0", "is not within"),
            ("connections_max = 65537", "is not within"),
            ("connections_per_peer_max = 0", "is not within"),
        ],
        |line| format!("[limits]\n{line}"),
    );
}

/// A text with the line of the same key replaced.
fn replaced(text: &str, line: &str) -> String {
    let key = line.split('=').next().unwrap();
    let lines = text
        .lines()
        .filter(|old| old.split('=').next() != Some(key))
        .flat_map(|old| {
            let here = old.starts_with("[[") && !old.contains('.');
            [Some(old), here.then_some(line)]
        });
    lines.flatten().collect::<Vec<_>>().join("\n")
}

#[test]
fn wrong_values_of_a_network() {
    assert_problems(
        &[
            (
                "id = 'solana:1'",
                "network[0].id: \"solana:1\" is not an EVM network",
            ),
            ("rpc_url = 'ws://h/hush'", "rpc_url[0]: must be an http://"),
            ("rpc_url = []", "must be 1 to 8 URLs"),
            ("rpc_url = 5", "must be a URL or a list of URLs"),
            ("confirmations = 0", "is not a number of blocks"),
            ("confirmations = 10001", "is not a number of blocks"),
            ("confirmations = -1", "must be a number of blocks"),
            (
                "confirmations = 'latest'",
                "\"latest\" is not a number of blocks",
            ),
            (
                "pay_to = '0x12'",
                "network[0].pay_to: \"0x12\" is not an address",
            ),
            (
                "pay_to = '0x70997970c51812DC3A010C7d01b50e0d17dc79C8'",
                "does not satisfy the EIP-55 checksum",
            ),
            (
                "pay_to = '0x0000000000000000000000000000000000000000'",
                "belongs to nobody",
            ),
            (
                "max_fee_gwei = 0",
                "network[0].max_fee_gwei: 0 is not within 1 and 10000",
            ),
            ("max_fee_gwei = 10001", "10001 is not within"),
            ("max_fee_gwei = 0.5", "max_fee_gwei"),
            (
                "purchase_contract = '0x12'",
                "network[0].purchase_contract: \"0x12\"",
            ),
            (
                "purchase_contract = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'",
                "is pay_to",
            ),
            ("watch_from_block = -1", "watch_from_block"),
            (
                "reorg_blocks_max = 0",
                "reorg_blocks_max: 0 is not within 1 and 1024",
            ),
            ("reorg_blocks_max = 1025", "1025 is not within"),
            ("relayer_key_file = []", "must be 1 to 16 files"),
            ("relayer_key_file = ['a', 'b', 'a']", "\"a\" is named twice"),
            ("relayer_key_file = ['a', '']", "names no file"),
            ("relayer_key_file = 7", "must be a file or a list of files"),
            (
                "relayer_password_file = ['a', 'b']",
                "has 2 files for the 1 of relayer_key_file",
            ),
            ("relayer_password_file = ''", "names no file"),
            (
                "relayer_low_settlements = 1000001",
                "relayer_low_settlements: 1000001 is not within 0 and 1000000",
            ),
            (
                "refund_cap_credits = 0",
                "refund_cap_credits: 0 is not within",
            ),
            ("refund_key_file = ''", "refund_key_file: names no file"),
            (
                "refund_password_file = 'x'",
                "is the password of no refund_key_file",
            ),
            ("asset = []", "sells nothing"),
        ],
        |line| match line {
            "asset = []" => replaced(NETWORK.split("[[network.asset]]").next().unwrap(), line),
            _ => replaced(NETWORK, line),
        },
    );
    for line in [
        "rpc_url = 'ws://h/hush'",
        "facilitator = 'ws://h/hush'",
        "facilitator = 'https://me:hush@x402.example'",
        "facilitator = {url = 'http://a', authorization = 'hush', authorization_file = 'f'}",
    ] {
        assert!(
            !problem(&replaced(NETWORK, line)).contains("hush"),
            "{line}"
        );
    }
    let keyless = NETWORK.replace("relayer_key_file = \"relayer.key\"\n", "");
    assert!(problem(&keyless).starts_with("network[0].relayer_key_file: is missing"));
    let spare = replaced(&keyless, "facilitator = ['https://x402.example', 'local']");
    assert!(problem(&spare).starts_with("network[0].relayer_key_file: is missing"));
}

#[test]
fn wrong_values_of_a_facilitator() {
    assert_problems(
        &[
            (
                "facilitator = 'Local'",
                "network[0].facilitator: must be \"local\" or the http://",
            ),
            ("facilitator = 'ws://h/hush'", "must be \"local\" or the"),
            ("facilitator = 5", "must be \"local\", the URL"),
            ("facilitator = []", "must be 1 to 4 facilitators"),
            (
                "facilitator = 'https://me:hush@x402.example'",
                "belongs in authorization_file",
            ),
            (
                "facilitator = 'https://x402.example?key=hush'",
                "belongs in authorization_file",
            ),
            (
                "facilitator = ['local', 'local']",
                "network[0].facilitator[1]: is configured twice",
            ),
            (
                "facilitator = ['http://a/', {url = 'http://a'}]",
                "network[0].facilitator[1]: is configured twice",
            ),
            (
                "facilitator = {urls = 'http://a', url = 'http://a'}",
                "network[0].facilitator.urls: is no key; the keys here are url,",
            ),
            (
                "facilitator = {timeout_ms = 1000}",
                "network[0].facilitator.url: is missing",
            ),
            (
                "facilitator = {url = 'http://a', timeout_ms = 99}",
                "network[0].facilitator.timeout_ms: 99 is not within 100 and 120000",
            ),
            (
                "facilitator = ['local', {url = 'http://a', timeout_ms = 'soon'}]",
                "network[0].facilitator[1].timeout_ms: must be a whole number",
            ),
            (
                "facilitator = {url = 5}",
                "facilitator.url: must be a string",
            ),
            (
                "facilitator = {url = 'http://a', authorization = 'hush', authorization_file = 'f'}",
                "facilitator.authorization: must not stand beside authorization_file",
            ),
        ],
        |line| replaced(NETWORK, line),
    );
}

#[test]
fn others_may_settle() {
    let keyless = NETWORK.replace("relayer_key_file = \"relayer.key\"\n", "");
    let text = replaced(
        &keyless,
        "facilitator = ['https://x402.example/hush', {url = 'http://127.0.0.1:9', \
         authorization_file = 'auth', timeout_ms = 500}]",
    );
    let config = parse(&text, []).unwrap();
    let network = &config.networks[0];
    assert_eq!(network.relayer_keys, []);
    let [Facilitator::Remote(first), Facilitator::Remote(second)] = &network.facilitators[..]
    else {
        panic!("{network:?}")
    };
    assert_eq!(
        (first.url.path(), &first.authorization, first.timeout),
        ("/hush", &None, Duration::from_secs(30))
    );
    let file = Some(Authorization::File("auth".into()));
    assert_eq!(
        (&second.authorization, second.timeout.as_millis()),
        (&file, 500)
    );
    assert!(!format!("{config:?}").contains("hush"));

    let name = "COUNTERFOIL__NETWORK__0__FACILITATOR__1__AUTHORIZATION";
    let text = text.replace("authorization_file = 'auth', ", "");
    let config = parse(&text, [(name.into(), "12345".into())]).unwrap();
    let Facilitator::Remote(second) = &config.networks[0].facilitators[1] else {
        panic!("{config:?}")
    };
    let value = Authorization::Value("12345".to_owned().into());
    assert_eq!(second.authorization, Some(value));
    assert!(!format!("{config:?}").contains("12345"));
}

#[test]
fn each_relayer_has_its_password_or_all_have_one() {
    let key_files = |text: &str| {
        let text = NETWORK.replace("relayer_key_file = \"relayer.key\"", text);
        let config = config(&text).unwrap();
        let files = config.networks[0].relayer_keys.iter();
        let text = |path: &Path| path.display().to_string();
        let pairs = files.map(|file| (text(&file.path), file.password.as_deref().map(text)));
        pairs.collect::<Vec<_>>()
    };
    let pair = |key: &str, password: Option<&str>| (key.to_owned(), password.map(str::to_owned));
    assert_eq!(
        key_files("relayer_key_file = ['a', 'b']"),
        [pair("a", None), pair("b", None)]
    );
    assert_eq!(
        key_files("relayer_key_file = ['a', 'b']\nrelayer_password_file = 'x'"),
        [pair("a", Some("x")), pair("b", Some("x"))]
    );
    assert_eq!(
        key_files("relayer_key_file = ['a', 'b']\nrelayer_password_file = ['x', 'y']"),
        [pair("a", Some("x")), pair("b", Some("y"))]
    );
}

#[test]
fn refunds_are_off_until_they_have_a_key() {
    assert_eq!(config(NETWORK).unwrap().networks[0].refunds, None);
    let line = "relayer_key_file = \"relayer.key\"";
    let on = NETWORK.replace(line, &format!("{line}\nrefund_key_file = 'float.key'"));
    let refunds = config(&on).unwrap().networks[0].refunds.clone().unwrap();
    assert_eq!(refunds.key.path, Path::new("float.key"));
    assert_eq!(refunds.cap, Credits::from_whole(10_000).unwrap());
}

#[test]
fn wrong_values_of_an_asset() {
    for (old, new, expected) in [
        (
            "decimals = 6",
            "decimals = 5",
            "decimals: 5 is not within 6 and 18",
        ),
        (
            "decimals = 6",
            "decimals = 300",
            "decimals: 300 is not within",
        ),
        (
            "decimals = 6",
            "decimals = 6\nusd_rate = \"1,0812\"",
            "network[0].asset[0].usd_rate: \"1,0812\" is not a plain decimal",
        ),
        (
            "decimals = 6",
            "decimals = 6\nusd_rate = \"0\"",
            "usd_rate: \"0\" is not within 0.000001 and 1000000",
        ),
        (
            "decimals = 6",
            "decimals = 6\nusd_rate = 1.0812",
            "usd_rate: must be a string",
        ),
        (
            "decimals = 6",
            "decimals = 6\ntransfer_method = \"transfer\"",
            "transfer_method: \"transfer\" is neither \"eip3009\" nor \"permit2\"",
        ),
        (
            "eip712_version = \"2\"",
            "",
            "network[0].asset[0].eip712_version: is missing",
        ),
        (
            "eip712_version = \"2\"",
            "transfer_method = \"permit2\"",
            "eip712_version: goes with eip712_name",
        ),
        (
            "eip712_name = \"USDC\"",
            "transfer_method = \"permit2\"",
            "eip712_name: goes with eip712_version",
        ),
        ("0x036C", "0x036c", "network[0].asset[0].address: \"0x036c"),
        ("\"2\"", "\"\"", "eip712_version: \"\" must be 1 to 16"),
        ("\"2\"", "2", "eip712_version: must be a string"),
        ("symbol = \"USDC\"\n", "", "asset[0].symbol: is missing"),
    ] {
        let problem = problem(&NETWORK.replace(old, new));
        assert!(problem.contains(expected), "{problem}");
    }
    let asset = NETWORK.split("[[network.asset]]").nth(1).unwrap();
    let twice = format!("{NETWORK}[[network.asset]]{asset}");
    assert!(problem(&twice).contains("network[0].asset[1].address: \"0x036CbD"));
    let many = format!("{NETWORK}{NETWORK}").replacen("84532", "1", 1)
        + &format!("[[network.asset]]{asset}").repeat(7);
    assert!(problems(&many)[0].contains("has 9 assets"));
}

#[test]
fn an_asset_moved_by_permit2_needs_no_domain() {
    let domain = "eip712_name = \"USDC\"\neip712_version = \"2\"";
    let config = config(&NETWORK.replace(domain, "transfer_method = \"permit2\"")).unwrap();
    let asset = &config.networks[0].assets[0];
    assert_eq!(asset.transfer_method, TransferMethod::Permit2);
    assert_eq!(asset.domain.name, "");
}

#[test]
fn the_same_thing_twice_is_named() {
    assert_eq!(
        problem(&format!("{NETWORK}{NETWORK}")),
        "network[1].id: \"eip155:84532\" is configured twice"
    );
    assert_eq!(
        problem(&format!("{TOOL}{TOOL}")),
        "tool[1].slug: \"weather\" is another tool's slug too"
    );
    let action = "[[tool.action]]\nslug = 'forecast'\nprice_credits = '1'";
    assert_eq!(
        problem(&format!("{TOOL}{action}")),
        "tool[0].action[1].slug: \"forecast\" is another action's slug too"
    );
}

#[test]
fn wrong_values_of_a_tool() {
    assert_problems(
        &[
            (
                "slug = 'Weather'",
                "tool[0].slug: \"Weather\" must be 1 to 64",
            ),
            (
                "base_url = 'internal://x'",
                "tool[0].base_url: must be an http://",
            ),
            ("base_url = 'http://u:hush@h'", "must not carry a user name"),
            ("name = ''", "must be 1 to 128 bytes"),
        ],
        |line| {
            let [head, action] = [0, 1].map(|part| TOOL.split("[[tool.action]]").nth(part));
            format!(
                "{}\n[[tool.action]]{}",
                replaced(head.unwrap(), line),
                action.unwrap()
            )
        },
    );
    let idle = TOOL.split("[[tool.action]]").next().unwrap();
    assert!(problem(idle).contains("tool[0].action: must be 1 to 100 actions"));
}

#[test]
fn wrong_values_of_an_action() {
    assert_problems(
        &[
            ("slug = 'a b'", "tool[0].action[0].slug: \"a b\" must be"),
            ("method = 'get'", "\"get\" is not one of GET"),
            ("path = 'run'", "\"run\" must begin with '/'"),
            ("price_credits = '0'", "\"0\" must be above 0"),
            (
                "price_credits = '0.00001'",
                "has more than four decimal places",
            ),
            ("price_credits = '-1'", "is not a plain decimal number"),
            ("price_credits = 5", "must be a string"),
            ("timeout_ms = 0", "\"0\" must be 1 to 120000"),
            ("timeout_ms = 120001", "must be 1 to 120000"),
            ("x402 = 'yes'", "must be true or false"),
            ("settle_first = true", "has no meaning without x402"),
            (
                "parameters = { type = 'array' }",
                "must be a JSON Schema object",
            ),
            (
                "parameters = { properties = { signature = {} } }",
                "must not declare \"signature\"",
            ),
            (
                "parameters = { properties = { a = { type = 'text' } } }",
                "is not a JSON Schema",
            ),
        ],
        |line| {
            let key = line.split(' ').next().unwrap();
            let action = ["slug = 'forecast'", "price_credits = '5'", "x402 = false"]
                .into_iter()
                .filter(|old| !old.starts_with(key))
                .collect::<Vec<_>>()
                .join("\n");
            let tool = "[[tool]]\nslug = 'weather'\nbase_url = 'internal://echo'";
            format!("{tool}\n[[tool.action]]\n{action}\n{line}")
        },
    );
}

#[test]
fn the_environment_overrides_and_completes_the_file() {
    let text = format!("{NETWORK}{TOOL}");
    let variables = [
        ("COUNTERFOIL__SERVER__LISTEN", "0.0.0.0:80"),
        ("COUNTERFOIL__SESSION__LIFETIME_SECONDS", "60"),
        ("COUNTERFOIL__NETWORK__0__CONFIRMATIONS", "12"),
        (
            "COUNTERFOIL__NETWORK__0__RPC_URL",
            "[\"http://a\", \"http://b\"]",
        ),
        ("COUNTERFOIL__NETWORK__0__ASSET__0__EIP712_VERSION", "1"),
        ("COUNTERFOIL__TOOL__0__NAME", "\"402\""),
        ("COUNTERFOIL__TOOL__0__ACTION__0__PRICE_CREDITS", "0.10"),
        ("COUNTERFOIL__TOOL__0__ACTION__0__X402", "false"),
        (
            "COUNTERFOIL__TOOL__0__ACTION__0__PARAMETERS",
            "{required = [\"place\"]}",
        ),
        ("COUNTERFOIL__TOOL__1__SLUG", "echo"),
        ("COUNTERFOIL__TOOL__1__BASE_URL", "internal://echo"),
        (
            "COUNTERFOIL__TOOL__1__ACTION",
            "[{slug = \"say\", price_credits = \"1\"}]",
        ),
    ];
    let variables = variables.map(|(name, text)| (name.into(), text.into()));
    let config = parse(&text, variables).unwrap();
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.session.lifetime_seconds, 60);
    let network = &config.networks[0];
    let twelve = NonZeroU64::new(12).unwrap();
    assert_eq!(network.confirmations, Confirmations::Blocks(twelve));
    assert_eq!(network.rpc_urls.len(), 2);
    assert_eq!(network.assets[0].domain.version, "1");
    let [weather, echo] = config.catalogue.tools() else {
        panic!("{:?}", config.catalogue)
    };
    assert_eq!(weather.name(), "402");
    let forecast = weather.only_action().unwrap();
    assert_eq!((forecast.price().units(), forecast.x402()), (1_000, false));
    assert!(forecast.check(&serde_json::json!({})).is_err());
    assert_eq!(echo.target(), &Target::Echo);
}

#[test]
fn an_override_can_be_wrong_in_the_same_ways() {
    let with = |name: &str, text: &str| {
        let problems = parse("", [(name.into(), text.into())]).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let problems = with("COUNTERFOIL__SERVER__LISEN", "x");
    assert!(problems[0].starts_with("server.lisen: is no key"));
    let problems = with("COUNTERFOIL__SESSION__LIFETIME_SECONDS", "soon");
    assert_eq!(
        problems,
        ["session.lifetime_seconds: must be a whole number"]
    );
}

#[test]
fn what_is_shown_for_debugging_holds_no_node_keys() {
    let text = replaced(NETWORK, "rpc_url = 'https://node.example/hush'");
    let config = config(&text).unwrap();
    assert_eq!(config.networks[0].rpc_urls[0].path(), "/hush");
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn a_file_is_read_and_named_in_errors() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("counterfoil.toml");
    let error = load(&path).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }));
    assert!(error.to_string().contains("counterfoil.toml"));

    std::fs::write(&path, "[server]\nlisten = 'x'\npublic_url = 'y'").unwrap();
    let message = load(&path).unwrap_err().to_string();
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 3, "{message}");
    assert!(lines[0].contains("counterfoil.toml"));
    assert!(lines[1].starts_with("  server.listen: \"x\""));

    std::fs::write(&path, " ".repeat(1_048_577)).unwrap();
    let error = load(&path).unwrap_err();
    assert!(matches!(error, ConfigError::TooLong { .. }), "{error}");

    std::fs::write(&path, "").unwrap();
    assert!(load(&path).is_ok());
}
