//! Every method of every service, called by nobody and by every role: the rights written in the
//! contract are the rights that hold.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, MethodDescriptor, Value};
use tests::{background::Background, office::Client};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    service::interceptor::InterceptedService,
};

/// The staff of the background by role, as the contract names roles.
const CALLERS: [(&str, &str); 5] = [
    ("ROLE_ADMINISTRATOR", "s-02"),
    ("ROLE_HEAD", "s-10"),
    ("ROLE_MANAGER", "s-11"),
    ("ROLE_OPERATOR", "s-30"),
    ("ROLE_ANALYST", "s-40"),
];

struct Rights {
    public: bool,
    roles: BTreeSet<String>,
}

fn methods() -> anyhow::Result<Vec<MethodDescriptor>> {
    let pool = DescriptorPool::decode(api::DESCRIPTORS)?;
    Ok(pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect())
}

fn rights(method: &MethodDescriptor) -> anyhow::Result<Rights> {
    let pool = method.parent_pool();
    let extension = pool
        .get_extension_by_name("kontakty.rights.v1.rights")
        .context("the option")?;
    let options = method.options();
    ensure!(
        options.has_extension(&extension),
        "{} has no rights",
        method.full_name()
    );
    let Value::Message(ref rights) = *options.get_extension(&extension) else {
        anyhow::bail!("no message")
    };
    let role = pool
        .get_enum_by_name("kontakty.rights.v1.Role")
        .context("roles")?;
    let public = rights
        .get_field_by_name("public")
        .and_then(|value| value.as_bool())
        .unwrap_or_default();
    let numbers = rights.get_field_by_name("roles").context("roles")?;
    let roles = numbers
        .as_list()
        .unwrap_or_default()
        .iter()
        .filter_map(|number| Some(role.get_value(number.as_enum_number()?)?.name().to_owned()))
        .collect();
    Ok(Rights { public, roles })
}

/// Calls with an empty message; the code is that of the answer or of the first message.
async fn call(client: &Client, method: &MethodDescriptor) -> Code {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let Ok(path) = path.parse::<PathAndQuery>() else {
        return Code::Internal;
    };
    let mut grpc = Grpc::new(InterceptedService::new(
        client.channel.clone(),
        client.credentials.clone(),
    ));
    if grpc.ready().await.is_err() {
        return Code::Unavailable;
    }
    let request = Request::new(Vec::new());
    let answer = if method.is_server_streaming() {
        grpc.server_streaming(request, path, Raw).await.map(drop)
    } else {
        grpc.unary(request, path, Raw).await.map(drop)
    };
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn every_method_of_every_service_keeps_its_rights() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let nobody = Client::new(&office.office.grpc, None)?;
    let forged = Client::new(&office.office.grpc, Some("eyJhbGciOiJub25lIn0.e30."))?;
    let dismissed = office.client("s-99")?;
    let methods = methods()?;
    let mut faults = Vec::new();
    for method in &methods {
        let rights = rights(method)?;
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
            let code = call(client, method).await;
            // A public method judges its own input.
            expect(who, code, rights.public || code == Code::Unauthenticated);
        }
        for (role, staff) in CALLERS {
            let code = call(&office.client(staff)?, method).await;
            let good = if rights.public || rights.roles.contains(role) {
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
        methods.len() > 40,
        "only {} methods were walked",
        methods.len()
    );
    ensure!(
        faults.is_empty(),
        "{} of {} methods:\n{}",
        faults.len(),
        methods.len(),
        faults.join("\n")
    );
    Ok(())
}

/// Messages as their bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
