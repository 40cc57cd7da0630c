//! Sums in the books stay whole numbers, however much of a worthless token arrives.

use alloy::primitives::{Address, B256, U256};
use counterfoil::{
    base::{AgentAddress, AssetId, Credits, NetworkId, PurchaseId, Timestamp},
    payment::{Inclusion, PaymentWay, Transfer},
    store::{BookArrival, Store, StoreLimits},
};
use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};

const LARGEST: i64 = 1 << 53;

fn arrival(number: u32) -> BookArrival {
    let wallet = Address::repeat_byte(1);
    BookArrival {
        id: PurchaseId::from_random(u128::from(number).to_be_bytes()),
        way: PaymentWay::Transfer,
        asset: AssetId {
            network: NetworkId::from_chain_id(1),
            token: Address::repeat_byte(7),
        },
        transfer: Transfer {
            from: wallet,
            to: Address::repeat_byte(9),
            value: U256::from(LARGEST),
        },
        nonce: None,
        position: number,
        at: Inclusion {
            transaction: B256::repeat_byte(3),
            block: 1,
            block_hash: B256::repeat_byte(4),
            confirmed: true,
        },
        credits: Credits::from_units(LARGEST),
        wallet: AgentAddress::new(wallet),
        unattributed: false,
        label: None,
        since_block: 0,
        now: Timestamp::from_millis(1_000),
    }
}

#[tokio::test]
async fn more_than_the_books_can_count_is_on_record_only_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("books.db");
    let limits = StoreLimits {
        stored_replies_bytes_max: 1 << 20,
    };
    let (store, _writer) = Store::open(&path, limits).await.unwrap();
    for number in 0..300 {
        store.book_arrival(arrival(number)).await.unwrap();
    }
    let balance = store.balance(AgentAddress::new(Address::repeat_byte(1)));
    let total = balance.await.unwrap().total;
    assert_eq!(total, Credits::from_units(256 * LARGEST));

    // And where all else fails, the database refuses rather than rounds.
    let options = SqliteConnectOptions::new().filename(&path);
    let mut raw = options.connect().await.unwrap();
    for column in ["balance_units", "held_units"] {
        let rounds = format!("UPDATE accounts SET {column} = 9e18 * 2");
        assert!(
            sqlx::raw_sql(sqlx::AssertSqlSafe(rounds))
                .execute(&mut raw)
                .await
                .is_err()
        );
    }
    let row = sqlx::query(
        "SELECT count(*) AS whole FROM grants WHERE typeof(remaining_units) = 'integer'",
    );
    let whole: i64 = row.fetch_one(&mut raw).await.unwrap().get("whole");
    assert_eq!(whole, 1);
}
