//! Temporary credentials and registry passwords that were handed out.

/// What was handed out.
#[derive(Default)]
pub(crate) struct Sessions {}

impl Sessions {
    pub(crate) fn expire_keys(&mut self) {}
    pub(crate) fn expire_passwords(&mut self) {}
}
