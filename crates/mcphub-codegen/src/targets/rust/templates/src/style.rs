//! How a parameter or a field of a form is written (OpenAPI 3.0.4, Style Values).
//!
//! `style::form().explode(false)` reads as the document has it: `style: form`, `explode: false`.

/// The name that OpenAPI has for a way of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    TabDelimited,
    DeepObject,
    Cookie,
}

/// How one value is written.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// None for a field of a form of which nothing is stated.
    pub(crate) style: Option<Style>,
    pub(crate) explode: bool,
    pub(crate) reserved: bool,
    pub(crate) content: Option<&'static str>,
    argument: Option<&'static str>,
}

impl How {
    const fn new(style: Option<Style>, explode: bool) -> Self {
        Self {
            style,
            explode,
            reserved: false,
            content: None,
            argument: None,
        }
    }

    /// Whether each item or member is written on its own.
    pub const fn explode(mut self, explode: bool) -> Self {
        self.explode = explode;
        self
    }

    /// Leaves reserved characters as they are: `allowReserved`.
    pub const fn reserved(mut self) -> Self {
        self.reserved = true;
        self
    }

    /// The tool's name for the argument, where it is not that of the parameter.
    pub const fn argument(mut self, argument: &'static str) -> Self {
        self.argument = Some(argument);
        self
    }

    /// What problems call the argument.
    pub(crate) fn named<'a>(&self, name: &'a str) -> &'a str {
        self.argument.unwrap_or(name)
    }
}

/// `simple`, the usual one in paths and headers: `a,b`.
pub const fn simple() -> How {
    How::new(Some(Style::Simple), false)
}

/// `label`: `.a.b`.
pub const fn label() -> How {
    How::new(Some(Style::Label), false)
}

/// `matrix`: `;name=a,b`.
pub const fn matrix() -> How {
    How::new(Some(Style::Matrix), false)
}

/// `form`, exploded, the usual one in queries and cookies: `name=a&name=b`.
pub const fn form() -> How {
    How::new(Some(Style::Form), true)
}

/// `spaceDelimited`: `name=a%20b`.
pub const fn space_delimited() -> How {
    How::new(Some(Style::SpaceDelimited), false)
}

/// `pipeDelimited`: `name=a%7Cb`.
pub const fn pipe_delimited() -> How {
    How::new(Some(Style::PipeDelimited), false)
}

/// The collection format `tsv` of Swagger 2.0: `name=a%09b`.
pub const fn tab_delimited() -> How {
    How::new(Some(Style::TabDelimited), false)
}

/// `deepObject`: `name[member]=a`.
pub const fn deep_object() -> How {
    How::new(Some(Style::DeepObject), true)
}

/// `cookie` (OpenAPI 3.2.0): as it is, without percent-encoding.
pub const fn cookie() -> How {
    How::new(Some(Style::Cookie), true)
}

/// One text of this media type: JSON, or the bare text for other media types.
pub const fn content(media_type: &'static str) -> How {
    let mut how = How::new(Some(Style::Form), true);
    how.content = Some(media_type);
    how
}

/// A field of a form without a style: a list repeats the name, an object is JSON (OpenAPI 3.0.4,
/// Encoding Object).
pub const fn field() -> How {
    How::new(None, true)
}
