//! Texts of the configuration that are looked at again later, expressions above all, each with its place.

use config::{Faults, Field, KeyStyle, Kind, Read, Section};
use expr::{Env, Program, Want};

/// A text, and where it stands.
pub(super) struct Source {
    text: String,
    at: Section,
}

/// An expression that may be absent, compiled; or it is at fault, which is written down.
pub(super) type Compiled = Result<Option<Program>, Faulty>;

/// Something was wrong, and somebody has written it down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faulty;

impl Read for Source {
    const KIND: Kind = Kind::String;
    fn read(field: &Field<'_>) -> Option<Self> {
        field.string().map(|text| Self { text, at: field.section() })
    }
}

impl Source {
    pub(super) fn compile(&self, env: &Env, want: Want, faults: &Faults) -> Result<Program, Faulty> {
        Program::compile(&self.text, env, want).map_err(|fault| {
            let what =
                format!("is no such expression: at {}:{}, {}", fault.line, fault.column, fault.message);
            self.field(faults).error(what, fault.hint.unwrap_or_default());
            Faulty
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn place(&self) -> &Section {
        &self.at
    }

    pub(super) fn field<'f>(&self, faults: &'f Faults) -> Field<'f> {
        self.at.field(KeyStyle::Ours, faults)
    }
}
