//! Virtual servers that the store keeps.

use super::Platform;
use crate::Result;
use crate::event::Event;
use crate::server::ServerName;
use crate::store::Saved;
use crate::virtual_server::{StoredVirtualServer, VirtualServer};

/// How many are read at once.
const PAGE: u32 = 200;

impl Platform {
    /// All virtual servers that the store keeps, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn virtual_servers(&self) -> Result<Vec<StoredVirtualServer>> {
        let mut servers = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.virtual_servers(after.as_ref(), PAGE).await?;
            servers.extend(page.servers);
            match page.next {
                None => return Ok(servers),
                next => after = next,
            }
        }
    }

    /// Makes or changes a virtual server; with a revision only one that has that, 0 for a new one.
    ///
    /// # Errors
    /// `Conflict` for the name of a server, or another revision; those of the store.
    pub async fn save_virtual_server(
        &self,
        server: &VirtualServer,
        revision: Option<u64>,
    ) -> Result<Saved> {
        let saved = self.store.save_virtual_server(server, revision).await?;
        if saved.changed {
            self.tell_of(&server.name).await;
        }
        Ok(saved)
    }

    /// Removes a virtual server. Whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove_virtual_server(&self, name: &ServerName) -> Result<bool> {
        let removed = self.store.remove_virtual_server(name).await?;
        if removed {
            self.tell_of(name).await;
        }
        Ok(removed)
    }

    async fn tell_of(&self, name: &ServerName) {
        let server = name.clone();
        self.announce(Event::CatalogChanged { server }).await;
    }
}
