//! Makes Keyward's client of its protobuf files, without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["keyward/v1/authorize.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .type_attribute(".", "#[allow(dead_code, reason = \"not all of it is used\")]")
        // A key is in it, which no log should have.
        .skip_debug(["keyward.v1.AuthorizeRequest", "keyward.v1.BatchAuthorizeRequest"])
        .compile_fds(descriptors)?;
    Ok(())
}
