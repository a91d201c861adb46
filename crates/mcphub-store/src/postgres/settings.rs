//! Where the server is, and the bounds of what is asked of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mcphub_core::{Error, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// Parameters of a URL that libpq knows too, and that SQLx reads.
const PASSED_ON: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
];

/// A PostgreSQL server and how it is used. `Debug` shows no password.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresSettings {
    options: PgConnectOptions,
    schema: String,
    /// The most connections at a time, 1 to 1,000. Default 16.
    pub max_connections: u32,
    /// How long a caller waits for a connection, whether all are in use or the server is away.
    /// Default 5 s.
    pub connect_timeout: Duration,
    /// How long a statement may take on the server. Default 30 s.
    pub statement_timeout: Duration,
    /// Whether a schema that is not there is made; otherwise it is `NotFound`. Default true.
    pub create: bool,
}

impl PostgresSettings {
    /// The schema that is used unless another is named.
    pub const SCHEMA: &str = "mcphub";

    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`. Of libpq's parameters it takes
    /// `sslmode` (default `prefer`; `verify-full` for a server that is not on this machine),
    /// `sslrootcert`, `sslcert`, `sslkey`, `host` (a folder for a Unix socket), `port`, `dbname`
    /// and `user`; and of its own `schema`, `max_connections`, `connect_timeout` and
    /// `statement_timeout` (both in seconds, 1 to 3,600). What the URL leaves out comes from libpq's
    /// environment variables, such as `PGPASSWORD`, and from `~/.pgpass`.
    ///
    /// # Errors
    /// `InvalidInput` for anything else. No error shows the URL, which can hold a password.
    pub fn from_url(text: &str) -> Result<Self> {
        let malformed =
            || Error::invalid("a store's URL is postgres://USER:PASSWORD@HOST:PORT/DATABASE");
        let mut url = Url::parse(text).map_err(|_| malformed())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(malformed());
        }
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.query_pairs_mut().clear();
        url.set_fragment(None);
        let mut schema = Self::SCHEMA.to_owned();
        let mut max_connections = 16;
        let mut connect_timeout = Duration::from_secs(5);
        let mut statement_timeout = Duration::from_secs(30);
        for (name, value) in parameters {
            match name.as_str() {
                "schema" => schema = checked_schema(value)?,
                "max_connections" => max_connections = number(&name, &value, 1_000)?,
                "connect_timeout" => connect_timeout = seconds(&name, &value)?,
                "statement_timeout" => statement_timeout = seconds(&name, &value)?,
                passed if PASSED_ON.contains(&passed) => {
                    url.query_pairs_mut().append_pair(&name, &value);
                }
                _ => {
                    return Err(
                        Error::invalid("a store's URL has a parameter that is not known")
                            .with("parameter", name.chars().take(64).collect::<String>()),
                    );
                }
            }
        }
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| {
            // What SQLx says of it can hold a part of the URL.
            let _ = error;
            malformed()
        })?;
        Ok(Self {
            options,
            schema,
            max_connections,
            connect_timeout,
            statement_timeout,
            create: true,
        })
    }

    /// The schema that holds the tables.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Where it is, without a secret: the same for all URLs of one store.
    pub fn location(&self) -> String {
        let options = &self.options;
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let (port, database) = (options.get_port(), options.get_database());
        let database = database.unwrap_or(options.get_username());
        format!("postgres://{host}:{port}/{database}?schema={}", self.schema)
    }

    /// Options of a connection, whose statements have a bound on the server itself.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        let milliseconds = |bound: Duration| bound.as_millis().to_string();
        let statement = milliseconds(self.statement_timeout);
        self.options
            .clone()
            .application_name("mcphub")
            .options([
                ("search_path", self.schema.as_str()),
                ("statement_timeout", statement.as_str()),
                // Whoever holds a lock ends before its statements do.
                ("lock_timeout", statement.as_str()),
                ("idle_in_transaction_session_timeout", statement.as_str()),
            ])
            .disable_statement_logging()
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sslmode: PgSslMode = self.options.get_ssl_mode();
        f.debug_struct("PostgresSettings")
            .field("location", &self.location())
            .field("sslmode", &sslmode)
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish()
    }
}

/// A name that needs no quotes, so that it can be written into SQL as it is.
fn checked_schema(name: String) -> Result<String> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if begins && name.len() <= 63 && name.bytes().all(legal) && !name.starts_with("pg_") {
        return Ok(name);
    }
    Err(Error::invalid(
        "a schema's name has 1 to 63 of a-z, 0-9 and _, begins with none of 0-9 and not with pg_",
    )
    .with("schema", name.chars().take(64).collect::<String>()))
}

fn seconds(name: &str, value: &str) -> Result<Duration> {
    number(name, value, 3_600).map(|seconds| Duration::from_secs(seconds.into()))
}

fn number(name: &str, value: &str, most: u32) -> Result<u32> {
    let number = value.parse().ok();
    number
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| {
            Error::invalid(format!(
                "the parameter {name} of the store's URL is a number from 1 to {most}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcphub_core::ErrorKind;

    #[test]
    fn a_url_names_server_schema_and_bounds() {
        let url = "postgresql://me:s3cret@db.example.com:5433/hub?schema=two&max_connections=3\
                   &statement_timeout=7&sslmode=require";
        let settings = PostgresSettings::from_url(url).unwrap();
        assert_eq!(
            settings.location(),
            "postgres://db.example.com:5433/hub?schema=two"
        );
        assert_eq!(settings.max_connections, 3);
        assert_eq!(settings.statement_timeout, Duration::from_secs(7));
        assert_eq!(settings.connect_timeout, Duration::from_secs(5));
        assert!(matches!(
            settings.options.get_ssl_mode(),
            PgSslMode::Require
        ));
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn a_wrong_url_is_refused_and_its_password_stays_unsaid() {
        for url in [
            "postgres://me:s3cret@",
            "postgres://me:s3cret@host:99999/hub",
            "postgres://me:s3cret@host/hub?schema=Robert'); DROP",
            "postgres://me:s3cret@host/hub?schema=pg_temp",
            "postgres://me:s3cret@host/hub?schema=1st",
            "postgres://me:s3cret@host/hub?max_connections=0",
            "postgres://me:s3cret@host/hub?connect_timeout=soon",
            "postgres://me:s3cret@host/hub?options=-csearch_path%3Dx",
            "postgres://me:s3cret@host/hub?sslmode=maybe",
        ] {
            let error = PostgresSettings::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!error.report().contains("s3cret"), "{}", error.report());
        }
    }
}
