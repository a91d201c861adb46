//! A store that lets nobody in: the platform asks for none of this.

use async_trait::async_trait;

use super::world::Rows;
use crate::Error;
use crate::Result;
use crate::audit::Hash;
use crate::key::{FoundApiKey, KeyListing, KeyName, NewApiKey};
use crate::principal::Permissions;
use crate::role::{MembershipListing, RoleListing, RoleName};
use crate::store::{ApiKeyStore, MembershipStore, RoleStore, Saved};
use crate::user::UserName;

#[async_trait]
impl ApiKeyStore for Rows {
    async fn create_api_key(&self, _key: &NewApiKey) -> Result<bool> {
        Ok(false)
    }

    async fn api_keys(&self, _after: Option<&KeyName>, _limit: u32) -> Result<KeyListing> {
        Ok(KeyListing::default())
    }

    async fn api_key(&self, _name: &KeyName) -> Result<Option<FoundApiKey>> {
        Ok(None)
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

#[async_trait]
impl RoleStore for Rows {
    async fn save_role(&self, _: &RoleName, _: &Permissions, _: Option<u64>) -> Result<Saved> {
        Err(Error::not_found("this store has no roles"))
    }

    async fn roles(&self, _: Option<&RoleName>, _: u32) -> Result<RoleListing> {
        Ok(RoleListing::default())
    }

    async fn remove_role(&self, _: &RoleName) -> Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl MembershipStore for Rows {
    async fn set_membership(&self, _: &UserName, _: &RoleName, _: Option<u64>) -> Result<Saved> {
        Err(Error::not_found("this store has no members"))
    }

    async fn memberships(&self, _: Option<&UserName>, _: u32) -> Result<MembershipListing> {
        Ok(MembershipListing::default())
    }

    async fn remove_membership(&self, _: &UserName) -> Result<bool> {
        Ok(false)
    }
}
