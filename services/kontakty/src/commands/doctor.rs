//! `kontakty doctor`: what is wrong with an installation, in words, all at once.

mod bus;
mod cursors;
mod database;
mod rights;
mod words;

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use kit::{
    Clock, Config, Tokens,
    checkpoints::CheckpointSigner,
    config::{SERVICES, Storage},
    objects::Objects,
};

use crate::office::{self, Folder, default_folder};
use words::{Finding, Language, Words};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; the environment (`KONTAKTY__SECTION__KEY`) goes before it.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder of a local office that runs [default: where `kontakty up` keeps one, unless there
    /// is a configuration].
    #[arg(long, env = "KONTAKTY_DATA")]
    data: Option<PathBuf>,
}

const WITHIN: Duration = Duration::from_secs(5);
/// Reminders and tokens are out by as much.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(2);

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref())?;
    let configured = args.config.is_some() || !config.database.urls.is_empty();
    let local = if configured {
        None
    } else {
        let running = || Some(default_folder()).filter(|folder| Folder::running(folder).is_some());
        args.data.or_else(running)
    };
    let mut findings = vec![match &local {
        Some(folder) => {
            office::local_office(folder, &mut config)?;
            let folder = folder.display();
            Finding::good(Words::new(
                format!("an office runs on {folder}"),
                format!("офис работает на {folder}"),
            ))
        }
        None => Finding::good(("configuration", "настройки").into()),
    }];
    findings.extend(keys(&config));
    for service in SERVICES {
        findings.extend(database::examine(&config, service).await);
    }
    findings.extend(cursors::examine(&config).await);
    findings.extend(bus::examine(&config).await);
    findings.push(documents(&config).await);
    if local.is_none() {
        findings.push(port(&config));
    }

    let language = Language::of_environment(|name| std::env::var(name).ok());
    let (checks, mut faults) = (findings.len(), 0);
    for Finding { what, fault } in findings {
        let what = what.told(language);
        match fault {
            None => println!("ok     {what}"),
            Some(fault) => {
                faults += 1;
                println!("WRONG  {what}: {}", fault.told(language));
            }
        }
    }
    match faults {
        0 => Ok(()),
        _ => bail!(
            Words::new(
                format!("{faults} of {checks} checks found a fault"),
                format!("проверок с ошибкой: {faults} из {checks}"),
            )
            .told(language)
        ),
    }
}

fn keys(config: &Config) -> Vec<Finding> {
    let folder = &config.keys.folder;
    let shown = folder.display();
    let what = Words::new(format!("keys in {shown}"), format!("ключи в {shown}"));
    let mut findings = Vec::new();
    let mut needed = vec!["master.key", "names.key", "signing.pem"];
    match Tokens::load(folder) {
        Err(error) => return vec![Finding::bad(what, Words::same(error.to_string()))],
        Ok(_) if !folder.join("master.key").exists() => findings.push(Finding::bad(
            what.clone(),
            (
                "there is no master.key: personal data could not be read; put it back, or run `kontakty migrate` for a new installation",
                "нет master.key: личные данные нельзя прочитать; верните его или для новой установки выполните `kontakty migrate`",
            )
                .into(),
        )),
        Ok(_) => findings.push(Finding::good(what.clone())),
    }
    if !folder.join("names.key").exists() {
        findings.push(Finding::bad(
            what.clone(),
            (
                "there is no names.key: taken names and the stop list could not be found again; put it back, or run `kontakty migrate` for a new installation",
                "нет names.key: занятые имена и стоп-лист нельзя найти снова; верните его или для новой установки выполните `kontakty migrate`",
            )
                .into(),
        ));
    }
    if config.checkpoints.folder.is_some() {
        needed.push("checkpoint.pem");
        if CheckpointSigner::load(folder).is_err() {
            findings.push(Finding::bad(
                what.clone(),
                (
                    "checkpoints are asked for and there is no checkpoint.pem to sign them: run `kontakty migrate`",
                    "контрольные точки включены, а подписать их нечем (нет checkpoint.pem): выполните `kontakty migrate`",
                )
                    .into(),
            ));
        }
    }
    // Whoever reads them can read personal data, or be anybody.
    let open = needed
        .into_iter()
        .filter(|name| is_open(&folder.join(name)));
    findings.extend(open.map(|name| {
        Finding::bad(
            what.clone(),
            Words::new(
                format!("{name} is open to other users of this machine: chmod 600"),
                format!("{name} открыт другим пользователям машины: chmod 600"),
            ),
        )
    }));
    findings
}

/// Whether others than its owner may do anything with it.
fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|there| there.permissions().mode() & 0o077 != 0)
}

/// Whether bytes can be written, read and destroyed where documents are kept, by us alone.
async fn documents(config: &Config) -> Finding {
    let storage = &config.documents.storage;
    let place = match storage {
        Storage::Folder(folder) => folder.display().to_string(),
        Storage::S3(bucket) => format!("s3://{}/{}", bucket.bucket, bucket.prefix),
    };
    let what = Words::new(
        format!("documents in {place}"),
        format!("документы в {place}"),
    );
    if let Storage::Folder(folder) = storage
        && !folder.exists()
    {
        return match check_can_be_made(folder) {
            Ok(()) => Finding::good(what.about(Words::new(
                "is not there, and will be made at the start",
                "папки нет, она появится при запуске",
            ))),
            Err(error) => Finding::bad(
                what,
                Words::new(
                    format!("the folder is not there and cannot be made: {error}"),
                    format!("папки нет, и создать её нельзя: {error}"),
                ),
            ),
        };
    }
    let examined = async {
        match Objects::existing(storage) {
            Ok(objects) => objects.examine().await,
            Err(error) => Err(error),
        }
    };
    match tokio::time::timeout(WITHIN, examined).await {
        Ok(Ok(())) => match storage {
            // They are kept as they came.
            Storage::Folder(folder) if is_open(folder) => Finding::bad(
                what,
                (
                    "the folder is open to other users of this machine: chmod 700",
                    "папка открыта другим пользователям машины: chmod 700",
                )
                    .into(),
            ),
            Storage::Folder(_) | Storage::S3(_) => Finding::good(what),
        },
        Ok(Err(error)) => Finding::bad(what, Words::same(error.to_string())),
        Err(_) => Finding::bad(what, ("no answer", "нет ответа").into()),
    }
}

/// Leaves nothing behind: who examines is not always who serves, and would own the folder.
fn check_can_be_made(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let nearest = folder.ancestors().find(|folder| folder.exists());
    let nearest = nearest.ok_or(io::ErrorKind::NotFound)?;
    tempfile::tempdir_in(nearest)?.close()
}

fn port(config: &Config) -> Finding {
    let listen = config.server.listen;
    let what = Words::new(
        format!("port {listen} is free"),
        format!("порт {listen} свободен"),
    );
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Finding::good(what),
        Err(error) => Finding::bad(
            what,
            Words::new(
                format!("{error}; choose another server.listen, or is the office running?"),
                format!("{error}; выберите другой server.listen, или офис уже запущен?"),
            ),
        ),
    }
}

/// The time by which this machine works, whatever the office's clock shows.
fn wall() -> DateTime<Utc> {
    Clock::new(&Config::default().clock).now()
}

/// `theirs` was read between `before` and `after` by our clock.
fn clocks(
    what: Words,
    (before, theirs, after): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
) -> Finding {
    let what = what.about(("clock agrees with ours", "часы совпадают с нашими").into());
    let skew = (theirs - after).max(before - theirs);
    if skew <= MOST_SKEW {
        return Finding::good(what);
    }
    let seconds = skew.num_seconds();
    Finding::bad(
        what,
        Words::new(
            format!("they differ by {seconds} s: let both machines follow an NTP server"),
            format!("расхождение {seconds} с: обе машины должны сверяться с сервером NTP"),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_the_way_there_and_a_little() {
        let at = |seconds: i64| DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap();
        let wrong = |before, theirs, after| {
            let finding = clocks(Words::same("x"), (at(before), at(theirs), at(after)));
            finding.fault.map(|fault| fault.told(Language::English))
        };
        assert_eq!(wrong(0, 0, 0), None);
        assert_eq!(wrong(0, 9, 10), None);
        assert_eq!(wrong(0, 2, 0), None);
        assert!(wrong(0, 3, 0).unwrap().contains("by 3 s"));
        assert!(wrong(10, -3590, 10).unwrap().contains("by 3600 s"));
    }

    #[tokio::test]
    async fn the_folder_of_documents_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        let missing = root.path().join("data/documents");
        config.documents.storage = Storage::Folder(missing);
        let finding = documents(&config).await;
        assert!(finding.fault.is_none());
        let said = finding.what.told(Language::English);
        assert!(said.ends_with("will be made at the start"), "{said}");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);

        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        config.documents.storage = Storage::Folder(file.join("documents"));
        let fault = documents(&config).await.fault.unwrap();
        assert!(fault.told(Language::English).contains("cannot be made"));
    }
}
