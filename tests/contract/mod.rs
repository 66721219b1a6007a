//! What has to stay in step: tables with code, code with the house's own law.

mod docs;
mod law;
mod picture;
mod rooms;
