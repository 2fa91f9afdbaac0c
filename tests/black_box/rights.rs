//! Every method of every service, called by nobody and by every role: the rights written in the
//! contract are the rights that hold.

use anyhow::ensure;
use tests::{background::Background, background::code, client::Client, contract};
use tonic::Code;

/// The staff of the background by role, as the contract names roles.
const CALLERS: [(&str, &str); 5] = [
    ("ROLE_ADMINISTRATOR", "s-02"),
    ("ROLE_HEAD", "s-10"),
    ("ROLE_MANAGER", "s-11"),
    ("ROLE_OPERATOR", "s-30"),
    ("ROLE_ANALYST", "s-40"),
];

#[tokio::test]
async fn every_method_of_every_service_keeps_its_rights() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let nobody = Client::new(&office.office.grpc, None)?;
    let forged = Client::new(&office.office.grpc, Some("eyJhbGciOiJub25lIn0.e30."))?;
    let dismissed = office.client("s-99")?;
    let mut callers = Vec::new();
    for (role, staff) in CALLERS {
        callers.push((role, office.client(staff)?));
    }
    let methods = contract::methods()?;
    let mut faults = Vec::new();
    for method in &methods {
        let rights = contract::rights(method)?;
        // An empty message; the code is that of the answer, or of the refusal to stream.
        let call =
            async |client: &Client| code(&contract::call(client, method, Vec::new(), 0).await);
        let mut expect = |who: &str, code: Code, good: bool| {
            if !good {
                faults.push(format!("{} called by {who}: {code:?}", method.full_name()));
            }
        };
        for (who, client) in [
            ("nobody", &nobody),
            ("a forger", &forged),
            ("the dismissed", &dismissed),
        ] {
            let code = call(client).await;
            // A public method judges its own input.
            expect(who, code, rights.public || code == Code::Unauthenticated);
        }
        for (role, client) in &callers {
            let code = call(client).await;
            let good = if rights.public || rights.roles.contains(*role) {
                !matches!(
                    code,
                    Code::PermissionDenied | Code::Unimplemented | Code::Internal | Code::Unknown
                ) && (rights.public || code != Code::Unauthenticated)
            } else {
                code == Code::PermissionDenied
            };
            expect(role, code, good);
        }
    }
    ensure!(
        faults.is_empty(),
        "{} of {} methods:\n{}",
        faults.len(),
        methods.len(),
        faults.join("\n")
    );
    Ok(())
}
