//! Revisions of MCP.

use std::str::FromStr;

use rmcp::model::ProtocolVersion;

/// A revision that the gateway speaks to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// All, newest first: the order in which they are offered.
    pub(crate) const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];

    /// What a client without a version speaks (2025-11-25, Transports, Protocol Version Header).
    pub(crate) const UNSTATED: Self = Self::V2025_03_26;

    /// What `initialize` answers to a version that it cannot give.
    pub(crate) const NEWEST_WITH_INITIALIZE: Self = Self::V2025_11_25;

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether every request stands for itself: no `initialize`, no session.
    pub(crate) fn is_modern(self) -> bool {
        self.as_str() >= ProtocolVersion::NO_INITIALIZE.as_str()
    }
}

/// The gateway does not speak this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownRevision;

impl FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(text: &str) -> Result<Self, UnknownRevision> {
        Self::ALL
            .into_iter()
            .find(|revision| revision.as_str() == text)
            .ok_or(UnknownRevision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_kit_knows_the_same_revisions() {
        let known: Vec<&str> = ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .map(ProtocolVersion::as_str)
            .collect();
        for revision in Revision::ALL {
            assert!(known.contains(&revision.as_str()));
            assert_eq!(revision.as_str().parse(), Ok(revision));
        }
        assert_eq!(Revision::ALL[0].as_str(), ProtocolVersion::LATEST.as_str());
        assert_eq!(
            Revision::NEWEST_WITH_INITIALIZE.as_str(),
            ProtocolVersion::LATEST_WITH_INITIALIZE.as_str()
        );
        assert_eq!(
            Revision::ALL.map(Revision::is_modern),
            [true, false, false, false, false]
        );
    }
}
