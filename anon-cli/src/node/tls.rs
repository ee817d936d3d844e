//! TLS for associations in both directions. Without the feature `tls`, settings that require TLS are refused.

#[cfg(feature = "tls")]
pub(super) use with::{dial, listen};
#[cfg(not(feature = "tls"))]
pub(super) use without::{dial, listen};

#[cfg(feature = "tls")]
mod with {
    use std::path::PathBuf;

    use anon_model::ProjectSettings;
    use anon_model::settings::ScpTls;
    use anon_net::association::ul::UlDial;
    use anon_net::scp::ScpBuilder;
    use anon_net::tls::{ClientTls, ServerTls};
    use anyhow::Context as _;

    use crate::exit::Failure;
    use crate::platform;
    use crate::project::Project;

    /// Sets up TLS for outgoing associations.
    pub(in crate::node) fn dial(
        dial: UlDial,
        project: &Project,
        settings: &ProjectSettings,
    ) -> anyhow::Result<UlDial> {
        let tls = &settings.tls;
        let peers = file(project, tls.authorities.as_deref(), "tls.authorities")?;
        let built = match &tls.certificate {
            None => ClientTls::new(&peers),
            Some(certificate) => {
                let chain = project.root().join(certificate);
                let key = key_file(project, settings)?;
                ClientTls::mutual(&peers, &chain, &key)
            }
        };
        Ok(dial.with_tls(built.context(unusable())?))
    }

    /// Sets up TLS for incoming associations.
    pub(in crate::node) fn listen(
        builder: ScpBuilder,
        project: &Project,
        settings: &ProjectSettings,
    ) -> anyhow::Result<ScpBuilder> {
        let tls = &settings.tls;
        let chain = file(project, tls.certificate.as_deref(), "tls.certificate")?;
        let key = key_file(project, settings)?;
        let built = if settings.scp.tls == ScpTls::Mutual {
            let peers = file(project, tls.authorities.as_deref(), "tls.authorities")?;
            ServerTls::mutual(&chain, &key, &peers)
        } else {
            ServerTls::new(&chain, &key)
        };
        Ok(builder.tls(built.context(unusable())?))
    }

    /// Returns the path of a setting, relative to the project. The error names the setting.
    fn file(project: &Project, setting: Option<&str>, key: &str) -> anyhow::Result<PathBuf> {
        match setting {
            Some(path) => Ok(project.root().join(path)),
            None => Err(Failure::configuration(format!(
                "TLS needs {key}; to set it:\n  anon config set {key} FILE.pem"
            ))),
        }
    }

    /// Returns the private key file. Refuses one that others than its owner can access.
    fn key_file(project: &Project, settings: &ProjectSettings) -> anyhow::Result<PathBuf> {
        let path = file(project, settings.tls.key_file.as_deref(), "tls.key_file")?;
        // The mode of the link's target counts. A missing file is reported when it is read.
        let Ok(target) = path.canonicalize() else {
            return Ok(path);
        };
        let access = platform::access(&target).with_context(unusable)?;
        if access.is_some_and(|access| access.others != 0) {
            return Err(Failure::configuration(format!(
                "tls.key_file can be accessed by others than its owner: run chmod 600 '{}'",
                target.display()
            )));
        }
        Ok(path)
    }

    fn unusable() -> Failure {
        Failure::Configuration("cannot set up TLS".into())
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use anon_model::ProjectSettings;
    use anon_net::association::ul::UlDial;
    use anon_net::scp::ScpBuilder;

    use crate::exit::Failure;
    use crate::project::Project;

    pub(in crate::node) fn dial(
        _: UlDial,
        _: &Project,
        _: &ProjectSettings,
    ) -> anyhow::Result<UlDial> {
        Err(not_built())
    }

    pub(in crate::node) fn listen(
        _: ScpBuilder,
        _: &Project,
        _: &ProjectSettings,
    ) -> anyhow::Result<ScpBuilder> {
        Err(not_built())
    }

    fn not_built() -> anyhow::Error {
        Failure::configuration(
            "the settings require TLS, but this anon was built without it: use a build with the feature tls",
        )
    }
}
