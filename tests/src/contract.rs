//! The contract as its descriptors have it: whoever walks it misses no method.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use bytes::{Buf, BufMut};
use futures::{StreamExt, TryStreamExt};
use prost_reflect::{DescriptorPool, MethodDescriptor, Value};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::{InvalidUri, PathAndQuery},
};

use crate::client::Client;

/// Who the contract says may call a method.
pub struct Rights {
    pub public: bool,
    /// As `ROLE_MANAGER`.
    pub roles: BTreeSet<String>,
}

pub fn methods() -> anyhow::Result<Vec<MethodDescriptor>> {
    let pool = DescriptorPool::decode(api::DESCRIPTORS)?;
    let methods: Vec<_> = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    ensure!(methods.len() > 40, "only {} methods", methods.len());
    Ok(methods)
}

/// `AccountsService.GetAccount`
pub fn name(method: &MethodDescriptor) -> String {
    format!("{}.{}", method.parent_service().name(), method.name())
}

/// `accounts`
fn service(method: &MethodDescriptor) -> String {
    let service = method.parent_service();
    let package = service.package_name();
    package.split('.').nth(1).unwrap_or_default().to_owned()
}

pub fn rights(method: &MethodDescriptor) -> anyhow::Result<Rights> {
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

/// Calls with the bytes of a message. Of a stream the first `parts` are taken, if it has as many.
#[expect(clippy::disallowed_methods, reason = "what the connection says")]
pub async fn call(
    client: &Client,
    method: &MethodDescriptor,
    request: Vec<u8>,
    parts: usize,
) -> Result<Vec<Vec<u8>>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path: PathAndQuery = path
        .parse()
        .map_err(|error: InvalidUri| Status::from_error(error.into()))?;
    let mut grpc = Grpc::new(client.authenticated(&service(method)));
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let request = Request::new(request);
    if method.is_server_streaming() {
        let answer = grpc.server_streaming(request, path, Raw).await?;
        answer.into_inner().take(parts).try_collect().await
    } else {
        let answer = grpc.unary(request, path, Raw).await?;
        Ok(vec![answer.into_inner()])
    }
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
