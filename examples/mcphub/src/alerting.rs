//! `[alerts]` in the configuration: what somebody is told of servers.

use std::time::Duration;

use mcphub_core::{Error, Result};
use mcphub_gateway::{AlertSettings, Webhook};
use serde::Deserialize;

use crate::credentials;

/// What is told, and to whom besides the log and other nodes. No `Debug`: the URL often is a secret.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerting {
    /// Where alerts are posted. Default nowhere. Text, so that no error of reading shows it.
    webhook: Option<String>,
    /// The variable that holds the secret with which they are signed.
    secret_env: Option<String>,
    /// In seconds.
    down_after: Option<u64>,
    /// In seconds.
    clear_after: Option<u64>,
    /// 1 to 100; 0 for never.
    error_percent: Option<u8>,
    min_calls: Option<u64>,
}

impl Alerting {
    /// When somebody is told, and who over HTTP.
    ///
    /// # Errors
    /// Those of both.
    pub fn told(&self) -> Result<(AlertSettings, Option<Webhook>)> {
        Ok((self.settings()?, self.webhook()?))
    }

    /// When somebody is told.
    ///
    /// # Errors
    /// `InvalidInput` for more than 100 percent.
    fn settings(&self) -> Result<AlertSettings> {
        let mut settings = AlertSettings::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        settings.down_after = seconds(self.down_after, settings.down_after);
        settings.clear_after = seconds(self.clear_after, settings.clear_after);
        settings.min_calls = self.min_calls.unwrap_or(settings.min_calls);
        if let Some(percent) = self.error_percent {
            if percent > 100 {
                return Err(Error::invalid("a percentage is 0 to 100").with("in", "[alerts]"));
            }
            settings.error_percent = Some(percent).filter(|percent| *percent > 0);
        }
        Ok(settings)
    }

    /// Who is told over HTTP.
    ///
    /// # Errors
    /// `InvalidInput` for what is no URL, a secret without one, and a variable that is not set.
    fn webhook(&self) -> Result<Option<Webhook>> {
        let secret = self.secret_env.as_deref();
        let secret = secret.map(|name| credentials::variable_value("secret_env", name));
        let Some(text) = &self.webhook else {
            return match secret {
                None => Ok(None),
                Some(_) => Err(
                    Error::invalid("a secret is for a webhook, and there is none")
                        .with("in", "[alerts]"),
                ),
            };
        };
        let url = text.parse();
        let url =
            url.map_err(|_| Error::invalid("the webhook is no URL").with("in", "[alerts]"))?;
        Webhook::new(url, secret.transpose()?.map(Into::into)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_default_and_no_error_shows_the_url() {
        let alerting: Alerting = toml::from_str("down_after = 5\nerror_percent = 0").unwrap();
        let settings = alerting.settings().unwrap();
        assert_eq!(settings.down_after, Duration::from_secs(5));
        assert_eq!(settings.error_percent, None);
        assert_eq!(settings.clear_after, AlertSettings::default().clear_after);
        assert!(alerting.webhook().unwrap().is_none());
        for wrong in [
            "webhook = 's3cret'",
            "webhook = 'ftp://a.test/s3cret'",
            "secret_env = 'HOME'",
        ] {
            let alerting: Alerting = toml::from_str(wrong).unwrap();
            let error = alerting.webhook().unwrap_err().report();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
