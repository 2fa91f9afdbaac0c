//! Writes `tests/ROWS.md`.

fn main() -> anyhow::Result<()> {
    tests::rows::write()
}
