//! Creates a table, then inserts, reads, updates and deletes a row with a real date.
//!
//!     cargo run -p switchboard-rows --example basic
//!
//! `DATABASE_URL` says where; a PostgreSQL of its own is started without it. The database of the table is dropped in the
//! end.

use jiff::civil::{Date, date};
use serde::Deserialize;
use serde_json::json;
use switchboard_rows::{Database, Error, PostgresOptions, PrivatePostgres, RowCache, ScratchDatabase};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
struct User {
    id: i32,
    name: String,
    dob: Date,
}

pub(crate) async fn demo(database: &Database, mut print: impl FnMut(String)) -> Result<(), Error> {
    database.run("CREATE TABLE users (id serial PRIMARY KEY, name text, dob date)").await?;
    let rows = RowCache::connect(database, ["users"]).await?;

    let bob = rows.insert("users", &json!({ "name": "Bob", "dob": date(1984, 3, 1) })).await?.key;
    // A writer reads its own write at once.
    let read = async || {
        let row = rows.get("users", &bob).await?;
        Ok::<_, Error>(row.map(|row| serde_json::from_slice::<User>(&row).expect("the table's columns")))
    };
    print(format!("After INSERT: {:?}", read().await?));
    rows.update("users", &bob, &json!({ "dob": date(1985, 3, 1) })).await?;
    print(format!("After UPDATE: {:?}", read().await?));
    rows.delete("users", &bob).await?;
    print(format!("After DELETE: {:?}", read().await?));
    Ok(())
}

#[allow(dead_code, reason = "the tests call the demonstration itself")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First: the private PostgreSQL's guardian is this program, started once more.
    switchboard_child::init();
    tokio::runtime::Runtime::new()?.block_on(async {
        let (server, postgres) = match std::env::var("DATABASE_URL") {
            Ok(url) => (url.parse()?, None),
            Err(_) => {
                let postgres = PrivatePostgres::start(&PostgresOptions::temporary()).await?;
                (postgres.database().clone(), Some(postgres))
            }
        };
        let scratch = ScratchDatabase::create(&server).await?;
        demo(scratch.database(), |line| println!("{line}")).await?;
        drop((scratch, postgres));
        Ok(())
    })
}
