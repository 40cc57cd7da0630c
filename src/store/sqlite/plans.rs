//! Queries that run in the only writer find their rows by an index, however many there are.

use sqlx::{Connection, Executor, Row, SqliteConnection};

use super::{reads::UNSETTLED_CALL, suspense::WAS_MOVED};

#[tokio::test]
async fn queries_of_the_writer_search_by_an_index() {
    let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for migration in [
        include_str!("../../../migrations/sqlite/0001_ledger.sql"),
        include_str!("../../../migrations/sqlite/0002_payments.sql"),
    ] {
        database.execute(migration).await.unwrap();
    }
    for query in [UNSETTLED_CALL, WAS_MOVED] {
        let explained = format!("EXPLAIN QUERY PLAN {query}");
        let plan = sqlx::query(sqlx::AssertSqlSafe(explained))
            .bind("x")
            .fetch_all(&mut database)
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let searches = plan.iter().all(|step| step.starts_with("SEARCH"));
        assert!(searches, "{query}: {plan:?}");
    }
}
