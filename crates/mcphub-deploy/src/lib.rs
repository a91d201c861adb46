//! mcphub-deploy
