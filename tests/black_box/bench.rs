//! The benches run and are correct; how fast they are is printed, not asserted.

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::office::kontakty;

#[test]
fn bench_append_is_correct() -> anyhow::Result<()> {
    for writers in ["64", "1"] {
        let output = kontakty(&[
            "bench",
            "append",
            "--writers",
            writers,
            "--seconds",
            "1",
            "--rounds",
            "2",
            "--format",
            "json",
        ])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let report: Value = serde_json::from_slice(&output.stdout)?;
        println!(
            "{writers} writers: {} appends/s",
            report["appends_per_s_median"]
        );
        for peer in report["peers"].as_array().into_iter().flatten() {
            println!("  ratio {} to {}", peer["ratio"], peer["name"]);
        }
        ensure!(
            report["acknowledged"] == report["stored"] && report["acknowledged"].as_u64() > Some(0),
            "{report}"
        );
        ensure!(report["stale_refused"] == report["stale_sent"], "{report}");
        let peers = report["peers"].as_array().context("peers")?;
        ensure!(
            peers.iter().all(|peer| peer["ratio"].as_f64() > Some(0.0)),
            "{report}"
        );
        ensure!(report["ratio"] == peers[0]["ratio"], "{report}");
    }
    Ok(())
}
