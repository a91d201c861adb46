//! What a document may refer to, and how that is loaded.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use mcphub_core::spec::DocumentLoader;
use mcphub_core::{Error, ErrorKind, Result};
use url::{Origin, Url};

use super::{fetch, read, shown};

/// Loads files below the folder of a document, or URLs of its own origin, and what the user allows
/// beside that.
#[derive(Debug)]
pub struct References {
    home: Home,
    allowed: Vec<Allowed>,
}

/// Where the document itself is.
#[derive(Debug)]
enum Home {
    Folder(PathBuf),
    Origin(Origin),
}

/// One `--allow-ref`.
#[derive(Debug, Clone)]
enum Allowed {
    Below(PathBuf),
    Url(Url),
}

impl References {
    /// What the document with this source may refer to.
    ///
    /// # Errors
    /// `InvalidInput` for a prefix that is neither an http(s) URL nor a path that is there.
    pub fn of(source: &str, allowed: &[String]) -> Result<Self> {
        let home = match http(source) {
            Some(url) => Home::Origin(url.origin()),
            None => {
                let folder = PathBuf::from(source).parent().map(PathBuf::from);
                Home::Folder(folder.unwrap_or_default())
            }
        };
        let allowed = allowed.iter().map(|prefix| match http(prefix) {
            Some(url) => Ok(Allowed::Url(url)),
            None => std::fs::canonicalize(prefix)
                .map(Allowed::Below)
                .map_err(|error| {
                    Error::invalid(
                        "--allow-ref names neither an http(s) URL nor a path that is there",
                    )
                    .with("prefix", prefix)
                    .caused_by(error)
                }),
        });
        Ok(Self {
            home,
            allowed: allowed.collect::<Result<_>>()?,
        })
    }

    fn allows_url(&self, url: &Url) -> bool {
        let own = matches!(&self.home, Home::Origin(origin) if *origin == url.origin());
        own || self.allowed.iter().any(|allowed| match allowed {
            Allowed::Url(prefix) => {
                prefix.origin() == url.origin() && url.path().starts_with(prefix.path())
            }
            Allowed::Below(_) => false,
        })
    }

    async fn file(&self, address: &Url) -> Result<Bytes> {
        let path = address
            .to_file_path()
            .map_err(|()| refused(address, "no file of this machine has that address"))?;
        if !matches!(self.home, Home::Folder(_)) {
            return Err(refused(address, "a document from a URL may not read files"));
        }
        // Links are followed first, so that none leads out of the folder.
        let path = tokio::fs::canonicalize(&path).await.map_err(|error| {
            Error::not_found("there is no such document")
                .with("path", path.display())
                .caused_by(error)
        })?;
        let below = |folder: &PathBuf| path.starts_with(folder);
        let own = matches!(&self.home, Home::Folder(folder) if below(folder));
        let allowed = self
            .allowed
            .iter()
            .any(|allowed| matches!(allowed, Allowed::Below(folder) if below(folder)));
        if !own && !allowed {
            return Err(refused(
                address,
                "it is not below the document's folder; allow it with --allow-ref FOLDER",
            ));
        }
        Ok(read(path.to_string_lossy().into_owned()).await?.bytes)
    }
}

#[async_trait]
impl DocumentLoader for References {
    async fn load(&self, address: &Url) -> Result<Bytes> {
        if address.scheme() == "file" {
            return self.file(address).await;
        }
        if !self.allows_url(address) {
            return Err(refused(
                address,
                "it is of another origin; allow it with --allow-ref URL",
            ));
        }
        let document = fetch(address.clone(), |target| self.allows_url(target)).await?;
        Ok(document.bytes)
    }
}

fn http(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn refused(address: &Url, why: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, why).with("address", shown(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn urls_of_the_own_origin_and_allowed_ones_may_be_loaded() {
        let allowed = ["https://schemas.test/v1/".to_owned()];
        let references = References::of("https://api.test/a/openapi.yaml", &allowed).unwrap();
        for (address, is) in [
            ("https://api.test/other.yaml", true),
            ("https://api.test:444/other.yaml", false),
            ("http://api.test/other.yaml", false),
            ("https://schemas.test/v1/pet.json", true),
            ("https://schemas.test/v2/pet.json", false),
            ("http://169.254.169.254/latest", false),
        ] {
            assert_eq!(references.allows_url(&url(address)), is, "{address}");
        }
    }

    #[tokio::test]
    async fn files_are_read_below_the_folder_alone() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("api/parts")).unwrap();
        std::fs::create_dir_all(root.join("shared")).unwrap();
        for file in [
            "api/openapi.yaml",
            "api/parts/a.yaml",
            "shared/b.yaml",
            "secret",
        ] {
            std::fs::write(root.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink(root.join("secret"), root.join("api/link.yaml")).unwrap();
        let source = root.join("api/openapi.yaml").display().to_string();
        let shared = [root.join("shared").display().to_string()];
        let file = |name: &str| Url::from_file_path(root.join(name)).unwrap();

        let references = References::of(&source, &[]).unwrap();
        let bytes = references.load(&file("api/parts/a.yaml")).await.unwrap();
        assert_eq!(bytes, "api/parts/a.yaml");
        for name in ["shared/b.yaml", "secret", "api/link.yaml", "api/../secret"] {
            let error = references.load(&file(name)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}");
        }
        let error = references.load(&file("api/none.yaml")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let other = references.load(&url("http://127.0.0.1:9/a")).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::PermissionDenied);

        let references = References::of(&source, &shared).unwrap();
        references.load(&file("shared/b.yaml")).await.unwrap();
        let remote = References::of("https://api.test/openapi.yaml", &shared).unwrap();
        let error = remote.load(&file("shared/b.yaml")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(References::of(&source, &["/no/such".to_owned()]).is_err());
    }
}
