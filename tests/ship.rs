//! What Keyward is shipped in: the image, the Helm chart and the compose file. They know every setting of the
//! program and no other, and what they make is what people are told.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as the test does, and nothing here is part of the service"
)]

#[path = "ship/chart.rs"]
mod chart;
#[path = "ship/compose.rs"]
mod compose;
#[path = "ship/image.rs"]
mod image;
#[path = "ship/manifests.rs"]
mod manifests;
#[path = "ship/settings.rs"]
mod settings;
#[path = "ship/support.rs"]
mod support;
#[path = "ship/yaml.rs"]
mod yaml;
