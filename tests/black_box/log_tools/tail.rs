use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    background::import,
    office::{Office, binary},
};

const STAFF: &str = "external_id,name,role,group,head\n\
    s-10,Зайцев Сергей,head,A,s-10\n\
    s-11,Петров Алексей,manager,A,s-10\n";

/// `kontakty log tail`, and what it prints.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(office: &Office, args: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(binary())
            .args(["log", "tail", "accounts", "--as", "admin", "--server"])
            .arg(format!("http://{}", office.grpc))
            .arg("--data")
            .arg(office.data())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(child.stdout.take().context("no output")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    fn next(&self) -> anyhow::Result<String> {
        let line = self.lines.recv_timeout(Duration::from_secs(20));
        line.context("no event came")
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_tail_begins_a_little_back_and_shows_events_as_they_come() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    import(&office, "admin", "staff", STAFF)?;
    let log = || -> anyhow::Result<Vec<String>> {
        let read = office.command("admin", &["log", "read", "accounts", "--shape", "json"])?;
        Ok(read.lines().map(str::to_owned).collect())
    };
    let before = log()?;
    let mut tail = Tail::start(&office, &["--back", "2", "--shape", "json"])?;
    for line in &before[before.len() - 2..] {
        ensure!(tail.next()? == *line, "{line}");
    }
    let newcomer = "external_id,name,role,group,head\ns-12,Смирнова Ольга,manager,A,s-10\n";
    import(&office, "admin", "staff", newcomer)?;
    let now = log()?;
    ensure!(now.len() > before.len(), "nothing was recorded");
    for line in &now[before.len()..] {
        ensure!(tail.next()? == *line, "{line}");
    }
    kill(Pid::from_raw(tail.child.id().cast_signed()), Signal::SIGINT)?;
    let ended = tail.child.wait()?;
    ensure!(ended.signal() == Some(2), "it ended with {ended}");
    Ok(())
}
