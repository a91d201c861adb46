//! Loopback ports for servers.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// The ports that deployments of one deployer have, so that two that start at the same time do
/// not get the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports(Arc<Mutex<BTreeSet<u16>>>);

impl Ports {
    /// A port that nobody listens on.
    pub fn pick(&self) -> io::Result<Port> {
        // The kernel seldom gives a port twice in a row; the bound is for a full range.
        for _ in 0..100 {
            let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()?
                .port();
            if self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(number)
            {
                return Ok(Port {
                    number,
                    ports: self.clone(),
                });
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "no free loopback port was found",
        ))
    }
}

/// A port, given back when dropped.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    ports: Ports,
}

impl Port {
    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Whether nobody listens on it.
    pub fn is_free(&self) -> bool {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.number)).is_ok()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_seen_when_taken() {
        let ports = Ports::default();
        let (a, b) = (ports.pick().unwrap(), ports.pick().unwrap());
        assert_ne!(a.number(), b.number());
        assert!(a.is_free());
        let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, a.number())).unwrap();
        assert!(!a.is_free());
        drop(a);
        assert_eq!(ports.0.lock().unwrap().len(), 1);
    }
}
