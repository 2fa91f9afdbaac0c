//! Generates the contract from `proto/` without protoc.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use protox::prost_reflect::{DescriptorPool, Kind};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    find(&root, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;
    // Two forms on purpose: code generation drops method options (the rights), these bytes keep them.
    let descriptors = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &descriptors)?;
    tonic_prost_build::configure()
        .include_file("kontakty.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    fs::write(
        out.join("requests.rs"),
        requests(&DescriptorPool::decode(&descriptors[..])?)?,
    )?;
    Ok(())
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// `Command` for every request with a `request_id`, `Query` for every one with `min_positions`:
/// the shell reads both without knowing the message. `Limited` for every server: one place sets
/// the limits of all.
fn requests(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for message in pool.all_messages() {
        let path = format!("crate::{}", message.full_name().replace('.', "::"));
        if message
            .get_field_by_name("request_id")
            .is_some_and(|field| field.kind() == Kind::String)
            && message.name().ends_with("Request")
        {
            writeln!(
                code,
                "impl crate::Command for {path} {{ fn request_id(&self) -> &str {{ &self.request_id }} }}"
            )?;
        }
        if message.get_field_by_name("min_positions").is_some() {
            writeln!(
                code,
                "impl crate::Query for {path} {{ fn min_positions(&self) -> &[crate::kontakty::common::v1::Position] {{ &self.min_positions }} }}"
            )?;
        }
    }
    for service in pool.services() {
        let package = service.package_name().replace('.', "::");
        let (name, module) = (service.name(), snake_case(service.name()));
        writeln!(
            code,
            "impl<T> crate::Limited for crate::{package}::{module}_server::{name}Server<T> {{ fn limited(self, request_bytes: usize, answer_bytes: usize) -> Self {{ self.max_decoding_message_size(request_bytes).max_encoding_message_size(answer_bytes) }} }}"
        )?;
    }
    Ok(code)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
