//! Where the walk stands in the document, without a pointer being written until one is needed.

use std::fmt::Write as _;

/// A place in the document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// An RFC 6901 JSON pointer.
    Pointer(&'a str),
    /// A member of an object.
    Key(&'a Place<'a>, &'a str),
    /// An item of an array.
    Index(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    /// The whole document.
    pub(super) const ROOT: Self = Self::Pointer("");

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// Another member of the same object.
    pub(super) fn beside(self, key: &'a str) -> Self {
        match self {
            Self::Key(parent, _) => Self::Key(parent, key),
            other => other,
        }
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The RFC 6901 JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Pointer(pointer) => text.push_str(pointer),
            Self::Key(parent, key) => {
                parent.write(text);
                text.push('/');
                for character in key.chars() {
                    match character {
                        '~' => text.push_str("~0"),
                        '/' => text.push_str("~1"),
                        other => text.push(other),
                    }
                }
            }
            Self::Index(parent, index) => {
                parent.write(text);
                // Writing to a string does not fail.
                let _ = write!(text, "/{index}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn pointers_escape_as_rfc_6901_says() {
        let paths = Place::ROOT.key("paths");
        let path = paths.key("/a~b/{c}");
        let parameters = path.key("parameters");
        assert_eq!(
            parameters.index(3).pointer(),
            "/paths/~1a~0b~1{c}/parameters/3"
        );
        assert_eq!(Place::ROOT.pointer(), "");
    }
}
