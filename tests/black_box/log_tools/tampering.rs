use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use api::log::Event;
use tests::{background::import, chain, eventually, office::Office, psql::Psql};

use super::{companies, events, fails, refused, text};

const FREE: &str = "alter table log.events disable trigger append_only; alter table log.head disable trigger one_row;";
const BACK: &str = "
    delete from log.events; insert into log.events table saved.events;
    delete from log.head; insert into log.head table saved.head;
    alter table log.events enable always trigger append_only;
    alter table log.head enable always trigger one_row;";

/// What somebody does who knows the chain: changes one event and gives all behind it new hashes.
fn rewritten(events: &[Event], position: i64) -> String {
    let mut before = vec![0; 32];
    let mut sql = String::new();
    for event in events {
        let mut event = event.clone();
        if event.position == position {
            event.payload.push(b' ');
        }
        before = chain::hash(&before, &event);
        if event.position >= position {
            let _ = write!(
                sql,
                "update log.events set payload = '\\x{}', hash = '\\x{}' where position = {};",
                hex::encode(&event.payload),
                hex::encode(&before),
                event.position
            );
        }
    }
    sql + &format!("update log.head set hash = '\\x{}';", hex::encode(&before))
}

fn newest(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.to_string_lossy().contains("/accounts-"))
        .max()
        .context("no checkpoint")
}

/// N-02: whatever is altered in the log, its position is named.
#[tokio::test]
async fn tampering_is_named_by_its_position_and_checkpoints_show_the_rest() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    import(&office, "admin", "accounts", &companies("Завод", 30))?;
    let psql = Psql::new(&office)?;
    let kept = tempfile::tempdir()?;
    let folder = text(kept.path());

    let early = office.command(
        "admin",
        &[
            "log",
            "checkpoint",
            "--service",
            "accounts",
            "--out",
            &folder,
        ],
    )?;
    let position = |said: &str| {
        let rest = said.split("position ").nth(1)?;
        rest.split(' ').next()?.parse::<i64>().ok()
    };
    let early = position(&early).context(early)?;
    import(&office, "admin", "accounts", &companies("Цех", 30))?;
    office.command(
        "admin",
        &["log", "checkpoint", "--service", "all", "--out", &folder],
    )?;
    ensure!(
        fs::read_dir(&folder)?.count() == 2,
        "only what has events is signed"
    );

    let history = events(&office.client("admin")?, "accounts").await?;
    let head = history.last().context("events")?.position;
    psql.owner(
        "accounts",
        "create schema saved; create table saved.events as table log.events;
         create table saved.head as table log.head",
    )?;
    let proven = ["log", "verify", "accounts", "--checkpoint", &folder];
    let whole = office.command("admin", &proven)?;
    ensure!(whole.contains("checkpoints met: 2"), "{whole}");
    let all = office.command("admin", &["log", "verify", "all", "--checkpoint", &folder])?;
    ensure!(all.lines().count() == 5, "{all}");

    let one_byte = |column: &str, at: i64| {
        format!(
            "update log.events set {column} = set_byte({column}, 9, get_byte({column}, 9) # 1) where position = {at}"
        )
    };
    let cut = format!(
        "delete from log.events where position > {at};
         update log.head set (position, hash, recorded_at) =
             (select position, hash, recorded_at from log.events where position = {at})",
        at = head - 5
    );
    let swapped = "
        update log.events set position = -position where position in (21, 22);
        update log.events set position = 43 + position where position < 0";
    let plain = ["log", "verify", "accounts"];
    // What was done, whether the chain alone shows it, and the position that is named.
    let tampering = [
        (one_byte("payload", 17), true, 17),
        (one_byte("metadata", 3), true, 3),
        (
            "delete from log.events where position = 25".to_owned(),
            true,
            25,
        ),
        (swapped.to_owned(), true, 21),
        (cut, false, head - 4),
        // Somewhere before the first checkpoint, somewhere behind it.
        (rewritten(&history, 12), false, 1),
        (rewritten(&history, early + 7), false, early + 1),
    ];
    for (sql, chain_shows, position) in tampering {
        psql.owner("accounts", &format!("{FREE} {sql}"))?;
        let named = format!("position {position}:");
        let proof = refused(&office, "admin", &proven)?;
        ensure!(proof.contains(&named), "{sql}\n{proof}");
        if chain_shows {
            let said = refused(&office, "admin", &plain)?;
            ensure!(said.contains(&named), "{sql}\n{said}");
        } else {
            // Consistent in itself: only what is kept elsewhere shows it.
            office.command("admin", &plain)?;
        }
        let sign = [
            "log",
            "checkpoint",
            "--service",
            "accounts",
            "--out",
            &folder,
        ];
        refused(&office, "admin", &sign)?;
        psql.owner("accounts", BACK)?;
        office.command("admin", &proven)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_forged_checkpoint_counts_for_nothing() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    let kept = tempfile::tempdir()?;
    let folder = text(kept.path());
    office.command(
        "admin",
        &[
            "log",
            "checkpoint",
            "--service",
            "accounts",
            "--out",
            &folder,
        ],
    )?;
    let file = newest(kept.path())?;
    let signed = fs::read_to_string(&file)?;
    let fields: serde_json::Value = serde_json::from_str(&signed)?;
    for field in [
        "service",
        "epoch",
        "position",
        "hash",
        "count",
        "at",
        "key_id",
        "signature",
    ] {
        ensure!(!fields[field].is_null(), "{field}: {signed}");
    }
    let verify = ["log", "verify", "accounts", "--checkpoint", &text(&file)];
    let good = office.command("admin", &verify)?;
    ensure!(
        good.contains("is whole") && good.contains("checkpoints met: 1"),
        "{good}"
    );

    let hash = fields["hash"].as_str().unwrap_or_default();
    for (from, to) in [
        (hash, "00".repeat(32).as_str()),
        ("\"count\": ", "\"count\": 1"),
        ("\"at\": \"2", "\"at\": \"3"),
    ] {
        fs::write(&file, signed.replace(from, to))?;
        let said = refused(&office, "admin", &verify)?;
        ensure!(
            said.contains("is forged: its signature does not belong"),
            "{said}"
        );
    }
    fs::write(&file, "{}")?;
    let said = refused(&office, "admin", &verify)?;
    ensure!(said.contains("is not a checkpoint"), "{said}");

    // Well signed, by somebody else.
    let other = Office::start_unprepared()?;
    let theirs = tempfile::tempdir()?;
    other.command(
        "admin",
        &[
            "log",
            "checkpoint",
            "--service",
            "accounts",
            "--out",
            &text(theirs.path()),
        ],
    )?;
    let theirs = text(&newest(theirs.path())?);
    let said = refused(
        &office,
        "admin",
        &["log", "verify", "accounts", "--checkpoint", &theirs],
    )?;
    ensure!(
        said.contains("not signed with a key of this office"),
        "{said}"
    );
    // And one of ours proves nothing of their log.
    fs::write(&file, &signed)?;
    let keys = text(&office.data().join("keys"));
    let args = [
        "log",
        "verify",
        "accounts",
        "--checkpoint",
        &text(&file),
        "--keys",
        &keys,
    ];
    let said = refused(&other, "admin", &args)?;
    ensure!(
        said.contains("position 1:") && said.contains("another life"),
        "{said}"
    );
    // Only where the key is.
    let token = office.token("admin")?;
    let server = format!("http://{}", office.grpc);
    let nowhere = text(kept.path());
    let said = fails(&[
        "log",
        "checkpoint",
        "--service",
        "all",
        "--out",
        &nowhere,
        "--keys",
        &nowhere,
        "--server",
        &server,
        "--token",
        &token,
    ])?;
    ensure!(said.contains("--keys"), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_office_signs_its_logs_by_itself_and_never_one_that_was_cut() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let config = folder.path().join("office.toml");
    fs::write(&config, "[checkpoints]\ninterval_seconds = 1\n")?;
    let (data, config) = (folder.path().join("data"), text(&config));
    let mut office = Office::start_on(&data, &["--config", &config])?;
    let checkpoints = data.join("checkpoints");
    let count = || {
        fs::read_dir(&checkpoints).map_or(0, |files| {
            let accounts = |name: String| name.starts_with("accounts-");
            files
                .filter_map(|file| file.ok()?.file_name().into_string().ok())
                .filter(|name| accounts(name.clone()))
                .count()
        })
    };
    let patience = Duration::from_secs(20);
    let signed = eventually(patience, async || count(), |count| *count >= 1).await;
    ensure!(signed >= 1, "{}", office.log());
    import(&office, "admin", "accounts", &companies("Завод", 20))?;
    let more = eventually(patience, async || count(), |count| *count > signed).await;
    ensure!(more > signed, "{}", office.log());
    let proven = [
        "log",
        "verify",
        "accounts",
        "--checkpoint",
        &text(&checkpoints),
    ];
    office.command("admin", &proven)?;

    // At the stop too, so that nothing is left unsigned.
    import(&office, "admin", "accounts", &companies("Цех", 3))?;
    ensure!(office.stop()?.success(), "{}", office.log());
    let office = Office::start_on(&data, &["--config", &config])?;
    let psql = Psql::new(&office)?;
    let head: i64 = psql
        .owner("accounts", "select position from log.head")?
        .parse()?;
    let last = newest(&checkpoints)?;
    let last: serde_json::Value = serde_json::from_str(&fs::read_to_string(&last)?)?;
    ensure!(last["position"] == head, "{last} is not at {head}");

    psql.owner(
        "accounts",
        &format!(
            "{FREE} delete from log.events where position > 10;
             update log.head set (position, hash, recorded_at) =
                 (select position, hash, recorded_at from log.events where position = 10);
             alter table log.events enable always trigger append_only;
             alter table log.head enable always trigger one_row"
        ),
    )?;
    let alarm = "the log of accounts is not signed";
    // It may have looked in between: told again a second later.
    let told = |log: &String| log.contains(alarm) && log.contains("the tail was cut off");
    let log = eventually(patience, async || office.log(), told).await;
    ensure!(told(&log), "{log}");
    let said = refused(&office, "admin", &proven)?;
    ensure!(said.contains("position 11: the tail was cut off"), "{said}");
    Ok(())
}
