//! Builds the base image with the engine's classic builder, and says whether an image is here. Which image a run uses is policy.

use super::{
    Error,
    docker::{engine_error, is_status, reach},
};
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt;
use std::{collections::HashMap, path::Path};

/// What the shipped policy names.
pub const BASE_TAG: &str = "borg-base:latest";

/// The Dockerfile of [`BASE_TAG`], so that an installed host can build it without the source tree.
const BASE_DOCKERFILE: &str = include_str!("../../../container/base/Dockerfile");

/// One image to build.
#[derive(Clone, Debug)]
pub struct Build<'a> {
    /// `DOCKER_HOST`; none for the usual socket.
    pub host: Option<&'a str>,
    /// Directory with a `Dockerfile`, sent to the engine whole, links and special files left out; none for the shipped base image.
    pub context: Option<&'a Path>,
    pub tag: &'a str,
    /// Value of the build argument `BASE_IMAGE`; none for the Dockerfile's own.
    pub base: Option<&'a str>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Sandbox(#[from] Error),
    #[error(
        "the base image cannot be fetched: {why}; where no registry can be reached, make one as root with `container/base/make-base.sh` \
         (needs debootstrap) and pass it with `--base`"
    )]
    NoBase { why: String },
    #[error("the build failed: {why}")]
    Failed { why: String },
}

/// Builds an image and returns its id. `progress` gets each line the engine prints.
pub async fn build(build: Build<'_>, mut progress: impl FnMut(&str)) -> Result<String, BuildError> {
    let (engine, _) = reach(build.host).await?;
    let tar = match build.context.map(Path::to_owned) {
        None => pack_one("Dockerfile", BASE_DOCKERFILE.as_bytes()).map_err(Error::io("pack", "Dockerfile"))?,
        Some(context) => tokio::task::spawn_blocking(move || pack(&context).map_err(Error::io("pack", &context)))
            .await
            .expect("packing does not panic")?,
    };
    let arguments: HashMap<&str, &str> = build.base.into_iter().map(|base| ("BASE_IMAGE", base)).collect();
    let options = BuildImageOptionsBuilder::new()
        .dockerfile("Dockerfile")
        .t(build.tag)
        .buildargs(&arguments)
        .rm(true)
        .forcerm(true)
        .build();
    let mut stream = Box::pin(engine.build_image(options, None, Some(bollard::body_full(tar.into()))));
    while let Some(step) = stream.next().await {
        let step = step.map_err(|error| explain(error.to_string()))?;
        if let Some(detail) = step.error_detail {
            return Err(explain(detail.message.unwrap_or_else(|| "the engine does not say why".to_owned())));
        }
        for text in [step.stream, step.status].into_iter().flatten() {
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).for_each(&mut progress);
        }
    }
    let found = engine.inspect_image(build.tag).await.map_err(engine_error("inspect the new image"))?;
    found.id.ok_or_else(|| BuildError::Failed { why: "the engine gave it no id".to_owned() })
}

/// True when the engine has this image.
pub async fn is_present(host: Option<&str>, image: &str) -> Result<bool, Error> {
    let (engine, _) = reach(host).await?;
    match engine.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(error) if is_status(&error, 404) => Ok(false),
        Err(error) => Err(engine_error("inspect the image")(error)),
    }
}

/// Tells a base that cannot be fetched from any other failure, by what engines say.
fn explain(why: String) -> BuildError {
    let pulling = [
        "pull access denied",
        "manifest unknown",
        "not found: manifest",
        "dial tcp",
        "no such host",
        "Client.Timeout",
        "TLS handshake",
    ];
    match pulling.iter().any(|sign| why.contains(sign)) {
        true => BuildError::NoBase { why },
        false => BuildError::Failed { why },
    }
}

/// Packs the plain files of a directory, with nothing of their owner or age, so that the same files make the same context.
fn pack(context: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut folders = vec![context.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries = std::fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path())?;
                let executable = std::os::unix::fs::PermissionsExt::mode(&entry.metadata()?.permissions()) & 0o100 != 0;
                let path = entry.path();
                let name = path.strip_prefix(context).expect("an entry lies below the folder it was listed in");
                append(&mut tar, name, if executable { 0o755 } else { 0o644 }, &bytes)?;
            }
        }
    }
    tar.into_inner()
}

fn pack_one(name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    append(&mut tar, Path::new(name), 0o644, bytes)?;
    tar.into_inner()
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &Path, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, name, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_holds_plain_files_only_and_is_reproducible() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("ca")).unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        std::fs::write(dir.path().join("ca/own.crt"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let packed = pack(dir.path()).unwrap();
        assert_eq!(packed, pack(dir.path()).unwrap());
        let mut archive = tar::Archive::new(packed.as_slice());
        let mut names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        names.sort();
        assert_eq!(names, [Path::new("Dockerfile"), Path::new("ca/own.crt")]);
    }

    #[test]
    fn a_base_that_cannot_be_fetched_names_the_remedy() {
        let error =
            explain("Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host".to_owned());
        assert!(error.to_string().contains("make-base.sh"));
        let error = explain("The command '/bin/sh -c false' returned a non-zero code: 1".to_owned());
        assert!(matches!(error, BuildError::Failed { .. }));
    }
}
