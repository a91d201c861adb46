//! Templates that put the parts of a view together, and that a host may replace.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mcphub_core::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

/// The templates of a target by name.
pub(super) struct Templates {
    known: BTreeSet<&'static str>,
    environment: Environment<'static>,
}

impl Templates {
    /// Templates that are part of this crate.
    pub(super) fn new(known: &'static [(&'static str, &'static str)]) -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = SyntaxConfig::builder();
        // A line that is a block tag leaves no line behind.
        if let Ok(syntax) = syntax
            .keep_trailing_newline(true)
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
        {
            environment.set_syntax(syntax);
        }
        for (name, source) in known {
            // Every test renders them.
            let added = environment.add_template(name, source);
            debug_assert!(added.is_ok(), "{name}: {added:?}");
        }
        Self {
            known: known.iter().map(|(name, _)| *name).collect(),
            environment,
        }
    }

    /// Knows files that are the same in every project, too, so that a host may replace them.
    pub(super) fn with_files(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.known.extend(names);
        self
    }

    /// The names that can be replaced, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().copied()
    }

    /// A file that is the same in every project, unless a host replaced it by a template.
    ///
    /// # Errors
    /// As [`Templates::fill`].
    pub(super) fn file(
        &self,
        name: &str,
        contents: &'static str,
        view: &impl serde::Serialize,
    ) -> Result<Cow<'static, str>> {
        match self.environment.get_template(name) {
            Ok(_) => self.fill(name, view).map(Cow::Owned),
            Err(_) => Ok(Cow::Borrowed(contents)),
        }
    }

    /// Replaces a template by name.
    ///
    /// # Errors
    /// `NotFound` for a name that is no template's, `InvalidInput` with the line for one that
    /// cannot be read.
    pub(super) fn replace(&mut self, name: String, source: String) -> Result<()> {
        if !self.known.contains(name.as_str()) {
            let known: Vec<_> = self.names().collect();
            return Err(Error::not_found(format!(
                "there is no template of that name; there are {}",
                known.join(", ")
            ))
            .with("template", name));
        }
        self.environment
            .add_template_owned(
                Cow::<'static, str>::Owned(name),
                Cow::<'static, str>::Owned(source),
            )
            .map_err(|error| Error::invalid("the template cannot be read").caused_by(error))
    }

    /// The template, filled with a view.
    ///
    /// # Errors
    /// `InvalidInput` with the line of a template that asks for what the view does not have.
    pub(super) fn fill(&self, template: &str, view: impl serde::Serialize) -> Result<String> {
        self.environment
            .get_template(template)
            .and_then(|template| template.render(Serde(view)))
            .map_err(|error| {
                Error::invalid("a template cannot be filled")
                    .with("template", template)
                    .caused_by(error)
            })
    }
}
