//! What has to stay in step: tables with code, code with the house's own law.

mod action;
mod inputs;
mod part;
mod picture;
