//! Standard output for results, standard error for everything else.

use std::io::{self, Write};

use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;

/// Writes a line of a result. A reader that went away, such as `head`, ends the program quietly.
///
/// # Errors
/// `Unavailable` when standard output cannot be written.
pub fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    finish(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Writes a result that ends its own lines.
///
/// # Errors
/// As [`line`].
pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes a result as indented JSON.
///
/// # Errors
/// As [`line`].
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    finish(
        written
            .and_then(|()| writeln!(out))
            .and_then(|()| out.flush()),
    )
}

/// Writes a result as JSON in one line.
///
/// # Errors
/// As [`line`].
pub fn json_line(value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(value);
    line(&json.map_err(|error| Error::internal("a result is no JSON").caused_by(error))?)
}

/// A time in Unix milliseconds, as a person reads it (RFC 3339).
pub fn time(milliseconds: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds);
    time.map_or_else(|_| milliseconds.to_string(), |time| time.to_string())
}

fn finish(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::new(
            ErrorKind::Unavailable,
            "standard output cannot be written",
        )
        .caused_by(error)),
        _ => Ok(()),
    }
}

/// Tells the person something that is no result.
pub fn say(text: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells the person why the program ends.
pub fn complain(text: &str) {
    say(&format!("error: {text}"));
}
