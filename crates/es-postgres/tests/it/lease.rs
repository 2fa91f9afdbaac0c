//! One leader at a time, each with a higher number.

use std::time::Duration;

use es_postgres::Lease;
use tokio::time::timeout;

use crate::database;

#[tokio::test]
async fn leaders_follow_each_other_with_rising_numbers() {
    let database = database().await;
    let one = database.pool_as("kontakty_service").await.unwrap();
    let other = database.pool_as("kontakty_service").await.unwrap();
    let first = Lease::acquire(&one).await;
    let soon = Duration::from_millis(1_500);
    assert!(timeout(soon, Lease::acquire(&other)).await.is_err());

    let number = first.fence();
    let (ended, second) = tokio::join!(timeout(Duration::from_secs(10), first.keep()), async {
        // As PostgreSQL does with the connection of a leader that says nothing for long.
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database
             where locktype = 'advisory' and datname = current_database()",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        Lease::acquire(&other).await
    });
    ended.expect("the first one learns of it");
    assert!(second.fence() > number);
}
