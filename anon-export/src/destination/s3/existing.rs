//! Asks for the metadata of an object.

use super::api::Api;
use super::client::quiet;
use super::digest::unquoted;
use super::terms::{ExistingObject, ORIGIN};
use crate::error::s3::S3Error;
use crate::{EntityTag, Error, Origin};

impl Api {
    /// Returns what is known of an object without reading it. `None` if there is none, or the
    /// credentials do not allow it.
    pub(super) async fn existing(&self, name: String) -> Result<Option<ExistingObject>, Error> {
        self.renewal.renew().await?;
        let head = self.client.head_object();
        let request = head.bucket(&self.config.bucket).key(name);
        let head = match quiet(request.send()).await {
            Ok(head) => head,
            Err(error) => {
                // The response has no body, and so no error code.
                let status = error.raw_response().map(|it| it.status().as_u16());
                if status == Some(404) {
                    return Ok(None);
                }
                return match self.map_error(&error, "s3:GetObject") {
                    Error::S3(S3Error::Denied { .. }) => {
                        tracing::debug!("the metadata of an object cannot be read");
                        Ok(None)
                    }
                    error => Err(error),
                };
            }
        };
        let origin = head.metadata().and_then(|metadata| metadata.get(ORIGIN));
        Ok(Some(ExistingObject {
            tag: head.e_tag().and_then(|tag| EntityTag::new(unquoted(tag))),
            origin: origin.and_then(|origin| Origin::parse(origin)),
        }))
    }
}
