//! A store that lets nobody in: the platform asks for none of this.

use async_trait::async_trait;

use super::world::Rows;
use crate::Result;
use crate::audit::Hash;
use crate::key::{FoundApiKey, KeyListing, KeyName, NewApiKey};
use crate::store::ApiKeyStore;

#[async_trait]
impl ApiKeyStore for Rows {
    async fn create_api_key(&self, _key: &NewApiKey) -> Result<bool> {
        Ok(false)
    }

    async fn api_keys(&self, _after: Option<&KeyName>, _limit: u32) -> Result<KeyListing> {
        Ok(KeyListing::default())
    }

    async fn find_api_key(&self, _digest: &Hash) -> Result<Option<FoundApiKey>> {
        Ok(None)
    }

    async fn rotate_api_key(&self, _name: &KeyName, _digest: &Hash, _until: i64) -> Result<bool> {
        Ok(false)
    }

    async fn revoke_api_key(&self, _name: &KeyName) -> Result<bool> {
        Ok(false)
    }

    async fn note_api_key_use(&self, _name: &KeyName, _at: i64) -> Result<()> {
        Ok(())
    }
}
