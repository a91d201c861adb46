//! A store that lets nobody in and has no virtual server.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::world::Rows;
use crate::Error;
use crate::Result;
use crate::audit::Hash;
use crate::job::{ClaimedJob, JobListing, JobName, NewJob};
use crate::key::{FoundApiKey, KeyListing, KeyName, NewApiKey};
use crate::principal::{Permissions, Refusal};
use crate::role::{MembershipListing, RoleListing, RoleName};
use crate::server::ServerName;
use crate::sign_in::{
    Account, FoundSignIn, NewSignIn, Refreshed, SignInId, SignInListing, SignInPlace, TokenDigests,
};
use crate::store::{
    ApiKeyStore, JobStore, MembershipStore, RoleStore, Saved, SignInStore, VirtualServerStore,
};
use crate::user::UserName;
use crate::virtual_server::{StoredVirtualServer, VirtualServer, VirtualServerListing};

#[async_trait]
impl VirtualServerStore for Rows {
    async fn save_virtual_server(&self, _: &VirtualServer, _: Option<u64>) -> Result<Saved> {
        Err(Error::not_found("this store has no virtual servers"))
    }

    async fn virtual_server(&self, _: &ServerName) -> Result<Option<StoredVirtualServer>> {
        Ok(None)
    }

    async fn virtual_servers(
        &self,
        _: Option<&ServerName>,
        _: u32,
    ) -> Result<VirtualServerListing> {
        Ok(VirtualServerListing::default())
    }

    async fn remove_virtual_server(&self, _: &ServerName) -> Result<bool> {
        Ok(false)
    }
}

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

#[async_trait]
impl SignInStore for Rows {
    async fn account(&self, _: &UserName) -> Result<Option<Account>> {
        Ok(None)
    }

    async fn begin_sign_in(&self, _: &NewSignIn) -> Result<bool> {
        Ok(false)
    }

    async fn find_sign_in(&self, _: &Hash) -> Result<Option<FoundSignIn>> {
        Ok(None)
    }

    async fn refresh_sign_in(&self, _: &Hash, _: &TokenDigests) -> Result<Refreshed> {
        Ok(Refreshed::Refused(Refusal::Unknown))
    }

    async fn end_sign_in(&self, _: &Hash) -> Result<bool> {
        Ok(false)
    }

    async fn end_sign_ins(&self, _: &UserName, _: Option<&SignInId>) -> Result<u64> {
        Ok(0)
    }

    async fn sign_ins(
        &self,
        _: &UserName,
        _: Option<&SignInPlace>,
        _: u32,
    ) -> Result<SignInListing> {
        Ok(SignInListing::default())
    }

    async fn purge_sign_ins(&self, _: u32) -> Result<u64> {
        Ok(0)
    }

    async fn note_failed_sign_in(&self, _: &UserName, _: Option<IpAddr>) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl JobStore for Rows {
    async fn enqueue_job(&self, _: &NewJob) -> Result<bool> {
        Ok(false)
    }

    async fn claim_job(&self, _: &str, _: Duration) -> Result<Option<ClaimedJob>> {
        Ok(None)
    }

    async fn keep_job(&self, _: &ClaimedJob, _: Duration) -> Result<bool> {
        Ok(false)
    }

    async fn finish_job(&self, _: &ClaimedJob) -> Result<bool> {
        Ok(false)
    }

    async fn fail_job(&self, _: &ClaimedJob, _: &str) -> Result<bool> {
        Ok(false)
    }

    async fn jobs(&self, _: Option<&JobName>, _: u32) -> Result<JobListing> {
        Ok(JobListing::default())
    }
}
