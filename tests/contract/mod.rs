//! What has to stay in step: tables with code, code with the house's own law.

mod action;
mod docs;
mod fields;
mod inputs;
mod law;
mod part;
mod picture;
mod rooms;
